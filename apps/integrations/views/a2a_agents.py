"""Agents of other people over A2A: adding one, and seeing its card."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.accounts.views.settings.sections import show
from apps.common.errors import Conflict, Invalid
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
    shown = selectors.find_a2a_agent(ref)
    may_manage = request.access.can(Capability.MANAGE)
    context = {"agent": shown, "card": shown.card, "facts": _facts(shown), "may_manage": may_manage}
    return render(request, "integrations/a2a_agent.html", context)


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


def _facts(shown: A2aAgent) -> list[tuple[str, Any]]:
    card = shown.card or {}
    interfaces = [one for one in card.get("supportedInterfaces", []) if isinstance(one, dict)]
    return [
        ("In workflows", shown.full_name),
        ("Card", shown.card_url),
        ("Messages go to", ", ".join(dict.fromkeys(str(one.get("url", "")) for one in interfaces)) or "—"),
        ("Version", str(card.get("version", "—"))),
        ("Streams", "yes" if card.get("capabilities", {}).get("streaming") else "no"),
        ("Key", shown.secret.hint if shown.secret else "none"),
    ]


def _to(shown: A2aAgent) -> HttpResponse:
    return HttpResponseRedirect(reverse("a2a_agent", args=[shown.name]))
