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
from apps.agents import lists, registry, selectors
from apps.agents.builtin import onboarding
from apps.agents.llm.source import PromptAgentType
from apps.agents.llm.spec import AgentSpec
from apps.agents.registry import AgentType
from apps.agents.roles.catalogue import is_role
from apps.agents.services import merit
from apps.agents.services.execution import execute
from apps.agents.services.merit import Choice
from apps.agents.views.editing import LEAVES, LEVELS_OF_PERSONAL_DATA
from apps.agents.views.snippet import snippet
from apps.common import limits
from apps.common.curl import curl
from apps.common.json import JSON
from apps.common.outcomes import Outcome
from apps.common.schema_parts import table
from apps.common.trials import INPUT_AT, trial
from apps.integrations import registry as tools
from apps.integrations.views.catalogue import EFFECTS

SAMPLES = "Nodes of the sample “Agentic User Onboarding”"
ORIGINS = {"builtin": "Orchestra", "plugin": "a plugin", "llm": "this organization"}


@require_safe
@page()
def catalogue(request: PageRequest) -> HttpResponse:
    """List the agents; htmx asks for the list alone while somebody types."""
    wanted, capability = request.GET.get("q", "").strip(), request.GET.get("capability", "")
    organization = request.access.organization.pk
    everything = sorted(registry.all_for(organization), key=_order)
    found = [one for one in everything if _matches(one, wanted) and capability in {"", *one.capabilities}]
    context = {
        "groups": _groups(found),
        "wanted": wanted,
        "capability": capability,
        "capabilities": _capabilities(everything),
        "rows": lists.rows(lists.found(wanted, capability)),
        "routing": _routing(organization, capability, everything),
        "snippet": snippet(request),
        "may_edit": request.access.can(Capability.EDIT),
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
        "may_edit": request.access.can(Capability.EDIT),
        "own": _own(agent_type),
        "role": agent_type.name if agent_type.kind == "builtin" and is_role(agent_type.name) else "",
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


def _order(one: AgentType) -> tuple[bool, bool, str]:
    """What the organization has made comes first, and last what is only there to be found by its name."""
    return one.kind != "llm", not one.capabilities, one.name.casefold()


def _groups(found: Sequence[AgentType]) -> list[tuple[str, list[AgentType]]]:
    """Give the agents that there are to use, and apart from them the nodes of the sample that Orchestra brings."""
    samples = [one for one in found if _is_sample(one)]
    groups = [("", [one for one in found if not _is_sample(one)]), (SAMPLES, samples)]
    return [(title, group) for title, group in groups if group]


def _is_sample(one: AgentType) -> bool:
    return one.agent.__module__ == onboarding.__name__


def _own(agent_type: AgentType) -> dict[str, Any] | None:
    """Give what there is to know of an agent that the organization has made; None for every other."""
    if not isinstance(agent_type, PromptAgentType):
        return None
    spec = agent_type.spec
    leaves, effects = (
        dict(LEAVES),
        {tool.name: EFFECTS[tool.effect] for tool in tools.all(agent_type.version.organization_id)},
    )
    return {
        "version": agent_type.version,
        "trial": selectors.trial_of(agent_type.version.agent),
        "spec": spec,
        "tools": [(grant, effects.get(grant.tool, "gone"), leaves[grant.approval]) for grant in spec.tools],
        "asked": [(grant, leaves[grant.approval]) for grant in spec.agents],
        "left_to": [(grant, leaves[grant.approval]) for grant in spec.handoffs],
        "run": [(grant, leaves[grant.approval]) for grant in spec.workflows],
        "limits": _limits(spec),
        "guardrails": _guardrails(spec),
    }


def _limits(spec: AgentSpec) -> list[tuple[str, str]]:
    limits = spec.limits
    return [
        ("Questions to the model", f"{limits.turns}"),
        ("Calls of tools", f"{limits.tool_calls}"),
        ("Tokens", f"{limits.tokens:,}" if limits.tokens else "no limit of its own"),
        ("Cost of a visit", f"${limits.cost_usd:g}" if limits.cost_usd is not None else "no limit of its own"),
    ]


def _guardrails(spec: AgentSpec) -> list[tuple[str, str]]:
    rules = spec.guardrails
    held = [("Personal data", dict(LEVELS_OF_PERSONAL_DATA)[rules.pii])]
    if rules.blocked:
        held.append(("Must not say", ", ".join(rules.blocked)))
    if rules.judge:
        held.append(("A judge asks", rules.judge.question))
    if spec.output_schema is not None:
        held.append(("Its answer", "has to fit the schema below"))
    return [*held, ("Tries again", f"{rules.retries} times")]


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
    if agent_type.kind == "llm":
        where = f"the workers of the queue {agent_type.queue}"
        return [("Comes from", ORIGINS[agent_type.kind]), ("Runs in", where)]
    facts = [
        ("Comes from", ORIGINS.get(agent_type.kind, agent_type.kind)),
        ("Version", ", ".join(map(str, agent_type.majors))),
        ("Runs in", f"the workers of the queue {agent_type.queue}"),
        ("Class", agent_type.origin),
    ]
    return [*facts, ("Leads to", ", ".join(agent_type.targets))] if agent_type.targets else facts


def _tables(agent_type: AgentType) -> list[tuple[str, Any, str]]:
    is_llm = agent_type.kind == "llm"
    found = [
        ("Takes", table(agent_type.input_schema), "Any JSON."),
        ("Gives", table(agent_type.output_schema), "A text, and what it took." if is_llm else "Any JSON."),
    ]
    if is_llm:
        return found
    return [*found, ("Configuration", table(agent_type.config_schema), "Nothing to configure.")]
