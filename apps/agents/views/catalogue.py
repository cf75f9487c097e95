"""The agents that there are: who can do what, and trying one."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.access import bucket, refuse_excess
from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.agents import lists, registry
from apps.agents.registry import AgentType
from apps.agents.services import merit
from apps.agents.services.execution import execute
from apps.agents.services.merit import Choice
from apps.agents.views.snippet import snippet
from apps.common import limits
from apps.common.curl import curl
from apps.common.json import JSON
from apps.common.outcomes import Outcome
from apps.common.schema_parts import table
from apps.common.trials import INPUT_AT, trial

ORIGINS = {"builtin": "Orchestra", "plugin": "a plugin", "llm": "this organization"}


@require_safe
@page()
def catalogue(request: PageRequest) -> HttpResponse:
    """List the agents; htmx asks for the list alone while somebody types."""
    wanted, capability = request.GET.get("q", "").strip(), request.GET.get("capability", "")
    organization = request.access.organization.pk
    everything = sorted(registry.all_for(organization), key=lambda one: (not one.capabilities, one.name.casefold()))
    found = [one for one in everything if _matches(one, wanted) and capability in {"", *one.capabilities}]
    context = {
        "agents": found,
        "wanted": wanted,
        "capability": capability,
        "capabilities": _capabilities(everything),
        "rows": lists.rows(lists.found(wanted, capability)),
        "routing": _routing(organization, capability, everything),
        "snippet": snippet(request),
        "summary": f"{len(found)} of {len(everything)} agents" if len(found) < len(everything) else "",
    }
    template = "agents/_list.html" if is_fragment(request) else "agents/catalogue.html"
    return render(request, template, context)


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def agent(request: PageRequest, name: str) -> HttpResponse:
    """Show an agent with what it takes and gives, or run it once."""
    agent_type = registry.get_for(request.access.organization.pk, name)
    if request.method == "POST":
        request.access.require(Capability.RUN)
        refuse_excess(limits.hit([bucket("run", f"caller:{request.user.pk}")]))
    tried = trial(request, agent_type.input_schema, lambda value: _run(request, agent_type, value))
    context = {
        "agent": agent_type,
        "facts": _facts(agent_type),
        "rows": lists.rows(lists.found("", agent=agent_type.name)),
        "tables": _tables(agent_type),
        "trial": tried,
        "may_try": request.access.can(Capability.RUN),
        "curl": curl(request, "/v1/agents/execute", {"agent_type": agent_type.name, "input_data": tried.value}),
    }
    is_part = is_fragment(request)
    status = 422 if tried.refused and not is_part else 200  # htmx shows no part that came with an error
    return render(request, "catalogue/_trial.html" if is_part else "agents/agent.html", context, status=status)


def _run(request: PageRequest, agent_type: AgentType, value: JSON) -> Outcome:
    return execute(
        agent_type,
        value,
        organization_id=request.access.organization.pk,
        input_at=INPUT_AT,
        caller=request.access.actor,
    )


def _matches(agent_type: AgentType, wanted: str) -> bool:
    text = " ".join([agent_type.name, agent_type.description, *agent_type.capabilities]).replace("_", " ").casefold()
    return all(word in text for word in wanted.replace("_", " ").casefold().split())


def _routing(organization: UUID, capability: str, everything: Sequence[AgentType]) -> Choice | None:
    """Give who would get a task now, where a capability is asked for that anybody has."""
    known = any(capability in one.capabilities for one in everything)
    return merit.route(organization, capability) if capability and known else None


def _capabilities(agents: Sequence[AgentType]) -> list[tuple[str, str]]:
    known = sorted({capability for one in agents for capability in one.capabilities})
    return [("", "Any capability"), *((one, one.replace("_", " ")) for one in known)]


def _facts(agent_type: AgentType) -> list[tuple[str, Any]]:
    if agent_type.kind == "remote":
        return [("Comes from", "processes of its own"), ("Runs in", agent_type.origin)]
    facts = [
        ("Comes from", ORIGINS.get(agent_type.kind, agent_type.kind)),
        ("Version", ", ".join(map(str, agent_type.majors))),
        ("Runs in", f"the workers of the queue {agent_type.queue}"),
        ("Class", agent_type.origin),
    ]
    return [*facts, ("Leads to", ", ".join(agent_type.targets))] if agent_type.targets else facts


def _tables(agent_type: AgentType) -> list[tuple[str, Any, str]]:
    return [
        ("Takes", table(agent_type.input_schema), "Any JSON."),
        ("Gives", table(agent_type.output_schema), "Any JSON."),
        ("Configuration", table(agent_type.config_schema), "Nothing to configure."),
    ]
