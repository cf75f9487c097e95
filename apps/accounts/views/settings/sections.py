"""The sections of the settings, and those that only show something."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import CAPABILITIES, Capability, Role
from apps.accounts.pages import PageRequest, page
from apps.accounts.services.members import rename_organization
from apps.common.errors import BadRequest

# Each section, and what somebody has to be allowed to see it.
SECTIONS = (
    ("members", "Members", Capability.VIEW),
    ("roles", "Roles", Capability.VIEW),
    ("api_keys", "API keys", Capability.MANAGE),
    ("models", "Models", Capability.VIEW),
    ("budgets", "Budgets", Capability.VIEW),
    ("mcp", "MCP servers", Capability.VIEW),
    ("a2a", "A2A agents", Capability.VIEW),
    ("organization", "Organization", Capability.VIEW),
    ("appearance", "Appearance", Capability.VIEW),
)

ACTS = (
    ("See workflows, runs and their results", Capability.VIEW),
    ("Run workflows, agents and tools; decide approvals", Capability.RUN),
    ("Pause, cancel and retry runs", Capability.RUN),
    ("Make and change workflows and schedules", Capability.EDIT),
    ("Invite, change and remove members; make API keys", Capability.MANAGE),
    ("Set up language models; make budgets, and allow more", Capability.MANAGE),
    ("Rename the organization", Capability.MANAGE),
)


@dataclass(frozen=True, slots=True)
class Tab:
    """A section in the row of tabs."""

    label: str
    url: str
    current: bool
    count: int | None = None


def show(request: PageRequest, section: str, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    """Give the page of a section, with the tabs of those that this person may see."""
    tabs = [
        Tab(label, reverse(f"settings_{name}"), name == section)
        for name, label, needs in SECTIONS
        if request.access.can(needs)
    ]
    title = next(label for name, label, _ in SECTIONS if name == section)
    shown = {"tabs": tabs, "section": title, "may_manage": request.access.can(Capability.MANAGE), **(context or {})}
    return render(request, f"accounts/settings_{section}.html", shown, status=status)


@require_safe
@page()
def first(_request: PageRequest) -> HttpResponse:
    """Go to the first section."""
    return HttpResponseRedirect(reverse("settings_members"))


@require_safe
@page()
def roles(request: PageRequest) -> HttpResponse:
    """Show who can do what."""
    rows = [(act, [(role.label, needs in CAPABILITIES[role]) for role in Role]) for act, needs in ACTS]
    owners = [(role.label, role == Role.OWNER) for role in Role]
    context = {
        "roles": list(Role),
        "rows": [*rows, ("Make owners, and change them", owners)],
        "own": request.access.role,
    }
    return show(request, "roles", context)


@require_safe
@page()
def appearance(request: PageRequest) -> HttpResponse:
    """Choose the colours."""
    return show(request, "appearance")


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def organization(request: PageRequest) -> HttpResponse:
    """Show the organization, or rename it."""
    if request.method != "POST":
        return show(request, "organization", {"name": request.access.organization.name})
    request.access.require(Capability.MANAGE)
    name = request.POST.get("name", "")
    try:
        rename_organization(request.access.organization, name)
    except BadRequest as wrong:
        return show(request, "organization", {"name": name, "error": wrong.detail}, status=422)
    messages.success(request, "Renamed.")
    return HttpResponseRedirect(reverse("settings_organization"))
