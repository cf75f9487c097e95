"""What agents remember: the newest, or what has to do with a text, with the scores by which an agent would find it."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.agents.memory import finding
from apps.agents.memory.erasing import erase_memories
from apps.agents.memory.finding import Found
from apps.agents.models import AgentSession, Memory
from apps.common import json
from apps.common.errors import BadRequest, Unavailable
from apps.common.pagination import page_of_rows

MOST_FOUND = 50
LONGEST_QUERY = 1_000


@require_safe
@page()
def memory_list(request: PageRequest) -> HttpResponse:
    """List memories or search them; htmx asks for the list alone while somebody types."""
    context = _shown(request)
    template = "agents/_memory_list.html" if is_fragment(request) else "agents/memories.html"
    return render(request, template, context)


@require_POST
@page(Capability.EDIT)
def erase(request: PageRequest, ref: str) -> HttpResponse:
    """Erase one memory, and come back to the list; htmx takes its row away."""
    erase_memories(Memory.objects.filter(pk=finding.find_memory(ref).pk))
    text = "The memory was erased."
    if is_fragment(request):
        return HttpResponse(headers={"HX-Trigger": json.dumps({"toast": {"text": text}}).decode()})
    messages.success(request, text)
    return _back(request)


@require_POST
@page(Capability.EDIT)
def erase_many(request: PageRequest) -> HttpResponse:
    """Erase all memories of an agent or of a session."""
    agent, session = request.POST.get("agent", ""), _session(request.POST.get("session", ""))
    if not agent and session is None:
        raise BadRequest("Say whose memories are erased: an agent's or a session's.", code="parameter_required")
    count = erase_memories(finding.memories(agent, session))
    messages.success(request, f"{count} {'memory' if count == 1 else 'memories'} erased.")
    return HttpResponseRedirect(reverse("memories"))


def _shown(request: PageRequest) -> dict[str, Any]:
    wanted, agent, kind = (_text(request, name) for name in ("q", "agent", "kind"))
    session, cursor = _session(_text(request, "session")), request.GET.get("cursor")
    kind = kind if kind in Memory.Kind.values else ""
    found: Sequence[Found] = ()
    next_cursor = refused = None
    try:
        if wanted:
            organization = request.access.organization.pk
            found = finding.search(organization, wanted, agent=agent, session=session, kind=kind, limit=MOST_FOUND)
        else:
            rows = page_of_rows(finding.memories(agent, session, kind), cursor=cursor)
            found, next_cursor = [Found(row) for row in rows.rows], rows.next_cursor
    except Unavailable as failed:
        refused = failed.detail
    return {
        "found": found,
        "next_cursor": next_cursor,
        "cursor": cursor,
        "refused": refused,
        "wanted": wanted,
        "agent": agent,
        "session": session,
        "kind": kind,
        "kinds": [("", "Any kind"), *Memory.Kind.choices],
        "narrowed": bool(wanted or agent or session or kind),
        "may_edit": request.access.can(Capability.EDIT),
    }


def _session(ref: str) -> AgentSession | None:
    return finding.find_session(ref) if ref else None


def _text(request: PageRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:LONGEST_QUERY]


def _back(request: PageRequest) -> HttpResponse:
    """Go back to the list as it was narrowed."""
    kept = {name: request.POST[name] for name in ("q", "agent", "session", "kind") if request.POST.get(name)}
    return HttpResponseRedirect(reverse("memories") + (f"?{urlencode(kept)}" if kept else ""))
