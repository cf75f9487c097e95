"""Talking with an agent."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.agents import selectors


@require_safe
@page(Capability.RUN)
def playground(request: PageRequest, name: str) -> HttpResponse:
    """Show the place where one talks with an agent; what is said goes over the API."""
    agent = selectors.find_agent(name)
    version = selectors.find_version(name, agent.latest_version)
    context = {"agent": agent, "version": version, "may_edit": request.access.can(Capability.EDIT)}
    return render(request, "agents/playground.html", context)
