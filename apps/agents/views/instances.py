"""One agent process outside: how it is, what it holds, and telling it to stop."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.agents import lists, selectors
from apps.agents.lists import Row
from apps.agents.models import AgentFigures
from apps.agents.services import live
from apps.common.errors import NotFound

SAID = {
    "drain": "{} gets nothing new and finishes what it has.",
    "resume": "{} gets tasks again.",
    "disable": "{} gets nothing, and what it had goes to others.",
}


@require_safe
@page()
def listed(request: PageRequest) -> HttpResponse:
    """Give the table of instances anew, of one agent or all that fit the search; by itself it is part of the page."""
    if not is_fragment(request):
        return HttpResponseRedirect(reverse("agents"))
    found = lists.found(request.GET.get("q", ""), request.GET.get("capability", ""), request.GET.get("agent", ""))
    return render(request, "agents/_instances.html", {"rows": lists.rows(found)})


@require_safe
@page()
def instance(request: PageRequest, ref: str) -> HttpResponse:
    """Show an instance with its tasks and figures."""
    found = selectors.find_instance(ref)
    (row,) = lists.rows([found])
    context = {
        "row": row,
        "instance": found,
        "tasks": lists.held(found),
        "figures": AgentFigures.objects.filter(agent=found.measured_as).order_by("capability"),
        "facts": _facts(row),
        "may_act": request.access.can(Capability.RUN),
    }
    return render(request, "agents/instance.html", context)


@require_POST
@page(needs=Capability.RUN)
def act(request: PageRequest, ref: str, act: str) -> HttpResponse:
    """Drain, resume or disable an instance."""
    found = selectors.find_instance(ref)
    if act not in live.ACTS:
        raise NotFound(f"An instance cannot be asked to '{act[:40]}'.")
    live.ACTS[act](found, by=request.access.actor)
    messages.success(request, SAID[act].format(found.name))
    return HttpResponseRedirect(reverse("agent_instance", args=[found.name]))


def _facts(row: Row) -> list[tuple[str, Any]]:
    one = row.instance
    return [
        ("Agent", one.agent),
        ("Tasks are", f"sent to {one.endpoint}" if one.endpoint else "fetched by it"),
        ("Tasks at once", one.max_concurrency),
        ("Shows itself", f"every {one.interval:g} s; three times missed and its tasks go to others"),
        ("Version", one.version or "—"),
        ("Costs", f"${one.usd_per_call:g} a call" if one.usd_per_call else "—"),
    ]
