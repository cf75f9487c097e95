"""Agents of other people over A2A: adding one, seeing its card and what has changed in it, accepting that."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.accounts.views.settings.sections import show
from apps.common.diffs import lines_of_diff, yaml_diff
from apps.common.errors import Conflict, Invalid
from apps.common.templatetags.ui import actor
from apps.integrations import selectors
from apps.integrations.models import A2aAgent
from apps.integrations.services import a2a_agents


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def agents(request: PageRequest) -> HttpResponse:
    """List the agents, or add one and read its card."""
    if request.method != "POST":
        return _list(request)
    request.access.require(Capability.MANAGE)
    sent = {name: request.POST.get(name, "").strip() for name in ("name", "card_url", "key")}
    access = request.access
    try:
        added = a2a_agents.add_agent(organization=access.organization, enabled=True, by=access.actor, **sent)
    except (Invalid, Conflict) as refused:
        return _list(request, refused=refused.detail, status=422)
    return _to(a2a_agents.refresh_agent(added))


@require_safe
@page()
def agent(request: PageRequest, ref: str) -> HttpResponse:
    """Show an agent with its card."""
    return _agent(request, selectors.find_a2a_agent(ref))


@require_POST
@page(Capability.MANAGE)
def refresh(request: PageRequest, ref: str) -> HttpResponse:
    """Read the card anew."""
    shown = a2a_agents.refresh_agent(selectors.find_a2a_agent(ref))
    if not shown.problem:
        messages.success(request, "Its card has been read.")
    return _to(shown)


@require_POST
@page(Capability.MANAGE)
def accept(request: PageRequest, ref: str) -> HttpResponse:
    """Have the card used, as the person has seen it."""
    shown = selectors.find_a2a_agent(ref)
    try:
        a2a_agents.accept_card(shown, digest=request.POST.get("digest", ""), by=request.access.actor)
    except (Invalid, Conflict) as refused:
        return _agent(request, shown, refused=refused.detail, status=422)
    messages.success(request, "Its card was accepted.")
    return _to(shown)


@require_POST
@page(Capability.MANAGE)
def switch(request: PageRequest, ref: str) -> HttpResponse:
    """Switch the agent on or off."""
    enabled = request.POST.get("enabled") == "true"
    return _to(a2a_agents.change_agent(selectors.find_a2a_agent(ref), enabled=enabled))


@require_POST
@page(Capability.MANAGE)
def delete(request: PageRequest, ref: str) -> HttpResponse:
    """Delete the agent."""
    gone = selectors.find_a2a_agent(ref)
    a2a_agents.delete_agent(gone)
    messages.success(request, f"{gone.name} was deleted.")
    return HttpResponseRedirect(reverse("settings_a2a"))


def _list(request: PageRequest, refused: str = "", status: int = 200) -> HttpResponse:
    context = {"agents": selectors.a2a_agents().order_by("name"), "refused": refused, "sent": request.POST}
    return show(request, "a2a", context, status)


def _agent(request: PageRequest, shown: A2aAgent, refused: str = "", status: int = 200) -> HttpResponse:
    card = shown.card if shown.offered is None else shown.offered
    context = {
        "agent": shown,
        "card": card,
        "facts": _facts(shown, card or {}),
        "changes": lines_of_diff(yaml_diff(shown.card, card)) if shown.state == "changed" else [],
        "refused": refused,
        "may_manage": request.access.can(Capability.MANAGE),
    }
    return render(request, "integrations/a2a_agent.html", context, status=status)


def _facts(shown: A2aAgent, card: dict[str, Any]) -> list[tuple[str, Any]]:
    interfaces = [one for one in card.get("supportedInterfaces", []) if isinstance(one, dict)]
    return [
        ("In workflows", shown.full_name),
        ("Card", shown.card_url),
        ("Messages go to", ", ".join(dict.fromkeys(str(one.get("url", "")) for one in interfaces)) or "—"),
        ("Version", str(card.get("version", "—"))),
        ("Streams", "yes" if card.get("capabilities", {}).get("streaming") else "no"),
        ("Key", shown.secret.hint if shown.secret else "none"),
        *([("Accepted by", actor(shown.accepted_by))] if shown.accepted_by else []),
    ]


def _to(shown: A2aAgent) -> HttpResponse:
    return HttpResponseRedirect(reverse("a2a_agent", args=[shown.name]))
