"""Agents made of a prompt: saving, versions, and talking with one."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from pydantic import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.agents import selectors
from apps.agents.llm.spec import AgentSpec
from apps.agents.models import AgentVersion
from apps.agents.serializers.definitions import (
    AgentVersionSerializer,
    ChatSerializer,
    SaveAgentSerializer,
    file_of,
    version_json,
)
from apps.agents.services.chatting import Conversation, Piece
from apps.agents.services.definitions import NewerVersion, Saved, archive_agent, checked_spec, save_agent
from apps.common import json, yaml
from apps.common.errors import ErrorItem, Invalid, PreconditionFailed
from apps.common.etags import etag, require_match
from apps.common.json import JSON
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, choice
from apps.common.serializers import checked
from apps.common.validation import error_items
from apps.integrations.language_models.shapes import Message

FORMAT = choice("yaml", "json", default="yaml", description="The document as YAML or JSON.")


class AgentDefinitionsView(OrganizationView):
    """Making agents."""

    @extend_schema(
        request=SaveAgentSerializer,
        responses={200: AgentVersionSerializer, 201: AgentVersionSerializer},
        operation_id="save_agent",
    )
    def post(self, request: Request) -> Response:
        """Make an agent of instructions, a model and tools, or add a version to the one of that name.

        201 for a new agent, 200 for a new version or for a document that is the newest version's already. With
        `If-Match` (the ETag of the version you edited) somebody else's newer version is a 412 instead.
        """
        asked = checked(SaveAgentSerializer, request)
        return run_once(request, lambda: self._save(request, asked))

    def _save(self, request: Request, asked: dict[str, Any]) -> Answer:
        newest = selectors.newest_version(asked["name"])
        require_match(request, _etag(newest))
        over = None if newest is None or "If-Match" not in request.headers else newest.number
        saved = self._saved(asked, over)
        return (201 if saved.is_new_agent else 200), version_json(saved.version)

    def _saved(self, asked: dict[str, Any], over: int | None) -> Saved:
        try:
            return save_agent(
                organization=self.access.organization,
                name=asked["name"],
                document=asked["agent"],
                by=self.access.actor,
                message=asked["message"],
                over=over,
            )
        except Invalid as wrong:
            raise _below(wrong, "/agent") from None
        except NewerVersion as newer:  # it came between the look at the tag and the lock
            raise PreconditionFailed(newer.detail, code="stale_etag") from None


class AgentDefinitionView(OrganizationView):
    """One agent that was made."""

    @extend_schema(responses={200: AgentVersionSerializer}, operation_id="get_agent_definition")
    def get(self, _request: Request, name: str) -> Response:
        """Show what the agent is now; its ETag guards an edit."""
        agent = selectors.find_agent(name)
        version = selectors.find_version(name, agent.latest_version)
        return Response(version_json(version), headers={"ETag": _etag(version)})

    @extend_schema(responses={204: None}, operation_id="archive_agent")
    def delete(self, _request: Request, name: str) -> Response:
        """Archive an agent; its name is free again, and runs that are in it go on."""
        archive_agent(selectors.find_agent(name))
        return Response(status=204)


class AgentVersionsView(OrganizationView):
    """The versions of an agent."""

    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(AgentVersionSerializer)}, operation_id="list_agent_versions")
    def get(self, request: Request, name: str) -> Response:
        """List the versions, the newest first."""
        found = selectors.find_agent(name).versions.select_related("agent")
        return paginate(found, request, serialize=version_json)


class AgentVersionView(OrganizationView):
    """One version."""

    @extend_schema(responses={200: AgentVersionSerializer}, operation_id="get_agent_version")
    def get(self, _request: Request, name: str, number: int) -> Response:
        """Show a version; save its document again to go back to it."""
        return Response(version_json(selectors.find_version(name, number)))


class ExportAgentView(OrganizationView):
    """An agent as a file."""

    query = {"GET": {"format": FORMAT}}

    @extend_schema(
        responses={(200, "application/yaml"): OpenApiResponse(OpenApiTypes.STR)}, operation_id="export_agent"
    )
    def get(self, _request: Request, name: str) -> HttpResponse:
        """Give the newest version as YAML or JSON, as saving takes it."""
        agent = selectors.find_agent(name)
        file = file_of(selectors.find_version(name, agent.latest_version))
        if self.query_values["format"] == "json":
            return HttpResponse(json.dumps(file, indent=True), content_type="application/json")
        return HttpResponse(yaml.dumps(file), content_type="application/yaml; charset=utf-8")


class ChatView(OrganizationView):
    """Talking with an agent."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    @extend_schema(
        request=ChatSerializer,
        responses={(200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR)},
        operation_id="chat_with_agent",
    )
    def post(self, request: Request, name: str) -> HttpResponseBase:
        """Say something to an agent, and get what it does as server-sent events: `text`, `tool`, `answer` or `error`.

        `answer` has the `history` to send with the next message. With `agent`, a document that is not saved is tried.
        """
        asked = checked(ChatSerializer, request)
        conversation = Conversation(
            self._spec(name, asked),
            asked["message"],
            _history(asked["history"]),
            organization_id=self.access.organization.pk,
            agent=name,
            caller=self.access.actor,
        )
        is_on_loop = isinstance(request._request, ASGIRequest)
        body = _frames_on_loop(conversation) if is_on_loop else (_frame(piece) for piece in conversation)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingHttpResponse(body, content_type="text/event-stream; charset=utf-8", headers=headers)

    def _spec(self, name: str, asked: dict[str, Any]) -> AgentSpec:
        if "agent" not in asked:
            agent = selectors.find_agent(name)
            return AgentSpec.model_validate(selectors.find_version(name, agent.latest_version).document)
        self.access.require("edit")
        try:
            return checked_spec(self.access.organization, name, asked["agent"])
        except Invalid as wrong:
            raise _below(wrong, "/agent") from None


def _etag(version: AgentVersion | None) -> str:
    """The tag of an agent as it is: an agent that takes an archived one's name has others."""
    return etag("agent", version.pk if version else "none")


def _history(said: list[dict[str, JSON]]) -> list[Message]:
    """What was said before; who the agent is stands in its document alone."""
    found, faults = [], []
    for place, message in enumerate(said):
        try:
            found.append(Message.model_validate(message))
        except ValidationError as error:
            faults += [_moved(item, f"/history/{place}") for item in error_items(error)]
            continue
        if found[-1].role == "system":
            words = "A conversation has messages of 'user', 'assistant' and 'tool'."
            faults.append(ErrorItem(f"/history/{place}/role", "invalid_role", words))
    if faults:
        detail = "The history cannot be read. Send the `history` of the last answer as it came."
        raise Invalid(detail, code="invalid_history", errors=faults)
    return found


async def _frames_on_loop(conversation: Conversation) -> AsyncIterator[bytes]:
    async with aclosing(conversation.__aiter__()) as pieces:  # who goes away ends it at once
        async for piece in pieces:
            yield _frame(piece)


def _frame(piece: Piece) -> bytes:
    if piece.kind == "silence":
        return b": still here\n\n"
    return b"event: %s\ndata: %s\n\n" % (piece.kind.encode(), json.dumps(piece.facts))


def _below(wrong: Invalid, place: str) -> Invalid:
    items = [item if item.pointer == "/name" else _moved(item, place) for item in wrong.errors]
    return Invalid(wrong.detail, code=wrong.code, errors=items)


def _moved(item: ErrorItem, place: str) -> ErrorItem:
    return ErrorItem(place + item.pointer, item.code, item.message, item.fix)
