"""The sessions of agents, and one of them as a conversation."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.agents.memory import finding
from apps.agents.memory.erasing import erase_sessions
from apps.agents.models import AgentSession, SessionTurn
from apps.common.errors import BadRequest
from apps.common.json import dumps
from apps.common.pagination import page_of_rows

SHOWN_TURNS = 50
SHOWN_MEMORIES = 20
LONGEST_SHOWN = 20_000  # characters of a turn on the page; the API has all of it
SORTS = {"last_used_at": ("last_used_at", "id")}


@require_safe
@page()
def session_list(request: PageRequest) -> HttpResponse:
    """List the sessions, the last used first; htmx asks for the list alone while somebody types."""
    wanted, agent = _text(request, "q"), _text(request, "agent")
    cursor = request.GET.get("cursor")
    found = page_of_rows(finding.sessions(agent, wanted), sort="-last_used_at", sorts=SORTS, cursor=cursor)
    context = {
        "sessions": found.rows,
        "next_cursor": found.next_cursor,
        "cursor": cursor,
        "wanted": wanted,
        "agent": agent,
        "may_edit": request.access.can(Capability.EDIT),
    }
    template = "agents/_session_list.html" if is_fragment(request) else "agents/sessions.html"
    return render(request, template, context)


@require_safe
@page()
def session(request: PageRequest, ref: str) -> HttpResponse:
    """Show a session as a conversation: its last turns, or those before a turn."""
    found = finding.find_session(ref)
    turns = finding.turns(found)
    if (before := request.GET.get("before", "")).isdecimal() and len(before) < len(str(2**31)):
        turns = turns.filter(seq__lt=int(before))
    newest = list(turns.order_by("-seq")[: SHOWN_TURNS + 1])
    shown = newest[:SHOWN_TURNS][::-1]
    kept = finding.memories(session=found).order_by("-created_at", "-id")
    context = {
        "session": found,
        "turns": [_turn(turn) for turn in shown],
        "earlier": shown[0].seq if len(newest) > SHOWN_TURNS else None,
        "is_last": not shown or shown[-1].seq == found.last_seq,
        "facts": _facts(found),
        "memories": kept[:SHOWN_MEMORIES],
        "memory_count": kept.count(),
        "may_edit": request.access.can(Capability.EDIT),
    }
    return render(request, "agents/session.html", context)


@require_POST
@page(Capability.EDIT)
def erase(request: PageRequest, ref: str) -> HttpResponse:
    """Erase a session."""
    found = finding.find_session(ref)
    erase_sessions(AgentSession.objects.filter(pk=found.pk))
    messages.success(request, f"The session {found.key} was erased.")
    return HttpResponseRedirect(reverse("sessions"))


@require_POST
@page(Capability.EDIT)
def erase_of_agent(request: PageRequest) -> HttpResponse:
    """Erase all sessions that an agent began."""
    if not (agent := request.POST.get("agent", "")):
        raise BadRequest("Say whose sessions are erased.", code="parameter_required")
    count = erase_sessions(finding.sessions(agent))
    messages.success(request, f"{count} session{'' if count == 1 else 's'} of {agent} erased.")
    return HttpResponseRedirect(reverse("sessions"))


def _turn(turn: SessionTurn) -> dict[str, Any]:
    return {
        "row": turn,
        "text": turn.content[:LONGEST_SHOWN],
        "is_cut": len(turn.content) > LONGEST_SHOWN,
        "calls": [(call["name"], dumps(call.get("arguments", {})).decode()) for call in turn.tool_calls],
    }


def _facts(found: AgentSession) -> list[tuple[str, Any]]:
    return [
        ("Begun by", found.agent or "—"),
        ("Turns", found.last_seq),
        ("Summarised", f"up to turn {found.summary_seq}" if found.summary_seq else "nothing yet"),
    ]


def _text(request: PageRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:200]
