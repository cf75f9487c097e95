"""Sessions and memories: reading them, searching them, and erasing them."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.agents.memory import finding
from apps.agents.memory.erasing import erase_memories, erase_sessions
from apps.agents.memory.finding import Found
from apps.agents.memory.shapes import (
    Erased,
    MemoryShape,
    SessionDetail,
    SessionShape,
    TurnShape,
    memory_shape,
    session_detail,
    session_shape,
    turn_shape,
)
from apps.agents.models import AgentSession, Memory
from apps.common.errors import BadRequest, ErrorItem
from apps.common.openapi import page_of
from apps.common.pagination import NEWEST_FIRST, paginate
from apps.common.parameters import LISTING, choice, text

LAST_TURNS = 50
LONGEST_QUERY = 1_000
SESSION_SORTS = {"last_used_at": ("last_used_at", "id"), **NEWEST_FIRST}
TURN_SORTS = {"seq": ("seq",)}
AGENT = text("Only of this agent.", max_length=100)
SESSION = text("Only of this session, by key or id.")


class SessionsView(OrganizationView):
    """The sessions that runs go on with."""

    query = {
        "GET": {**LISTING, "agent": text("Only sessions that this agent began.", max_length=100)},
        "DELETE": {"agent": text("Whose sessions are erased.", max_length=100)},
    }

    @extend_schema(responses={200: page_of(SessionShape)}, operation_id="list_sessions")
    def get(self, request: Request) -> Response:
        """List the sessions, the last used first."""
        found = finding.sessions(self.query_values["agent"])
        return paginate(found, request, sorts=SESSION_SORTS, default="-last_used_at", serialize=session_shape)

    @extend_schema(responses={200: Erased}, operation_id="erase_sessions")
    def delete(self, _request: Request) -> Response:
        """Erase every session that an agent began, with its turns and memories."""
        agent = self.query_values["agent"] or _refuse_all("agent")
        return Response({"erased": erase_sessions(finding.sessions(agent))})


class OneSessionView(OrganizationView):
    """One session, by id or key."""

    @extend_schema(responses={200: SessionDetail}, operation_id="get_session")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a session with the summary of its older turns and its last turns."""
        session = finding.find_session(ref)
        newest = finding.turns(session).order_by("-seq")[:LAST_TURNS]
        return Response(session_detail(session, list(reversed(newest))))

    @extend_schema(responses={204: None}, operation_id="erase_session")
    def delete(self, _request: Request, ref: str) -> Response:
        """Erase a session with its turns and memories; the next run that names it begins a new one."""
        session = finding.find_session(ref)
        erase_sessions(AgentSession.objects.filter(pk=session.pk))
        return Response(status=204)


class TurnsView(OrganizationView):
    """What was said in a session."""

    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(TurnShape)}, operation_id="list_session_turns")
    def get(self, request: Request, ref: str) -> Response:
        """List the turns of a session in order; `sort=-seq` begins with the last."""
        turns = finding.turns(finding.find_session(ref))
        return paginate(turns, request, sorts=TURN_SORTS, default="seq", serialize=turn_shape)


class MemoriesView(OrganizationView):
    """What agents remember."""

    query = {
        "GET": {
            **LISTING,
            "agent": AGENT,
            "session": SESSION,
            "kind": choice(*Memory.Kind.values, description="Only of this kind."),
            "query": text("What they have to do with; then the best come first.", max_length=LONGEST_QUERY),
        },
        "DELETE": {"agent": AGENT, "session": SESSION},
    }

    @extend_schema(responses={200: page_of(MemoryShape)}, operation_id="list_memories")
    def get(self, request: Request) -> Response:
        """List memories, the newest first; with `query` those an agent would recall, the best first and on one page."""
        wanted = self.query_values
        if wanted["query"] and wanted["query"].strip():
            return Response({"items": [memory_shape(found) for found in self._search()], "next_cursor": None})
        found = finding.memories(wanted["agent"], self._session(), wanted["kind"])
        return paginate(found, request, serialize=lambda memory: memory_shape(Found(memory)))

    def _search(self) -> list[Found]:
        wanted = self.query_values
        _refuse_paging(wanted)
        found = finding.search(
            self.access.organization.pk,
            wanted["query"],
            agent=wanted["agent"],
            session=self._session(),
            kind=wanted["kind"],
            limit=wanted["limit"],
        )
        return list(found)

    @extend_schema(responses={200: Erased}, operation_id="erase_memories")
    def delete(self, _request: Request) -> Response:
        """Erase every memory of an agent, of a session, or of an agent in a session."""
        wanted = self.query_values
        if not wanted["agent"] and not wanted["session"]:
            _refuse_all("agent", "session")
        found = finding.memories(wanted["agent"], self._session())
        return Response({"erased": erase_memories(found)})

    def _session(self) -> AgentSession | None:
        named = self.query_values["session"]
        return finding.find_session(named) if named else None


class OneMemoryView(OrganizationView):
    """One memory."""

    @extend_schema(responses={200: MemoryShape}, operation_id="get_memory")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a memory."""
        return Response(memory_shape(Found(finding.find_memory(ref))))

    @extend_schema(responses={204: None}, operation_id="erase_memory")
    def delete(self, _request: Request, ref: str) -> Response:
        """Erase a memory."""
        erase_memories(Memory.objects.filter(pk=finding.find_memory(ref).pk))
        return Response(status=204)


def _refuse_all(*names: str) -> str:
    """Refuse to erase without a word on whose."""
    message = f"Name what is erased by {' or '.join(repr(name) for name in names)}."
    raise BadRequest(message, code="parameter_required", errors=[ErrorItem(f"/query/{names[0]}", "required", message)])


def _refuse_paging(wanted: Mapping[str, Any]) -> None:
    for name in ("sort", "cursor"):
        if wanted[name]:
            message = f"'{name}' does not go with 'query': the best come first, at most 'limit' of them."
            fault = ErrorItem(f"/query/{name}", "invalid_parameter", message)
            raise BadRequest(message, code=fault.code, errors=[fault])
