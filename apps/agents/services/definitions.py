"""Making and changing agents made of a prompt."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from apps.accounts.models import Organization
from apps.agents import registry, selectors
from apps.agents.llm.offers import workflow_names
from apps.agents.llm.spec import AgentSpec
from apps.agents.models import AgentDefinition, AgentVersion
from apps.agents.sdk import AGENT_NAME
from apps.common.errors import Conflict, ErrorItem, Invalid
from apps.common.json import JSON
from apps.common.registry import nearest
from apps.common.validation import invalid_input
from apps.integrations import registry as tools
from apps.integrations.language_models import resolving as models

RESERVED = frozenset({"new", "execute", "register", "route", "instances"})  # what follows `agents/` in addresses


class NewerVersion(Conflict):
    """The agent has a newer version than the one that was edited."""

    code = "newer_version"


@dataclass(frozen=True)
class Saved:
    """What saving an agent did."""

    version: AgentVersion
    is_new_agent: bool
    is_new_version: bool


def checked_spec(organization: Organization, name: str, document: JSON) -> AgentSpec:
    """Give the document of an agent of this name, ready to live; raises Invalid with every fault and its place."""
    spec = spec_of(document)
    _check_names(organization, name, spec)
    return spec


def spec_of(document: JSON) -> AgentSpec:
    """Give the document of an agent in its form; raises Invalid with every fault and its place."""
    try:
        return AgentSpec.model_validate(document)
    except ValidationError as error:
        wrong = invalid_input("the agent", error)
        raise Invalid(str(wrong), code="invalid_agent", errors=wrong.errors) from None


@transaction.atomic
def save_agent(
    *, organization: Organization, name: str, document: JSON, by: str, message: str = "", over: int | None = None
) -> Saved:
    """Make an agent, or a new version of the one of that name; nothing where the document is the newest's.

    Raises Invalid for a name or a document that cannot be used, with every fault, Conflict for the name of an agent
    that is there for everybody and while a version is on trial, and NewerVersion where the newest version is no longer
    `over`, the one that was edited.
    """
    _check_name(name)
    spec = checked_spec(organization, name, document)
    agent, is_new = _locked(organization, name)
    if over is not None and over != agent.latest_version:
        raise _newer(agent)
    newest = agent.versions.select_related("agent").filter(number=agent.latest_version).first()
    if newest is not None and newest.document == spec.document():
        return Saved(newest, is_new_agent=False, is_new_version=False)
    if (trial := selectors.trial_of(agent)) is not None:
        message = f"Version {trial.candidate} of '{name}' is on trial: decide for one of its versions first."
        raise Conflict(message, code="trial_on")
    agent.latest_version += 1
    agent.save()
    version = AgentVersion.objects.create(
        organization=organization,
        agent=agent,
        number=agent.latest_version,
        document=spec.document(),
        message=message,
        created_by=by,
    )
    return Saved(version, is_new_agent=is_new, is_new_version=True)


def archive_agent(agent: AgentDefinition) -> None:
    """Take an agent out of every list; its name is free again, and a node that names it finds no agent."""
    agent.archived_at = timezone.now()
    agent.save(update_fields=["archived_at", "updated_at"])


def _locked(organization: Organization, name: str) -> tuple[AgentDefinition, bool]:
    """The agent of that name, locked against other saves; made where there is none."""
    made = AgentDefinition(organization=organization, name=name)
    AgentDefinition.objects.bulk_create([made], ignore_conflicts=True)
    agent = AgentDefinition.objects.select_for_update().get(name=name, archived_at=None)
    return agent, agent.pk == made.pk


def _check_name(name: str) -> None:
    if not AGENT_NAME.fullmatch(name):
        message = "A name begins with a letter and has letters, digits, '_', '-' and '.', at most 100."
        raise Invalid(message, code="invalid_name", errors=[ErrorItem("/name", "invalid_name", message)])
    if name in RESERVED:
        raise Conflict(f"The name '{name}' is one of Orchestra's own words: take another one.", code="name_taken")
    if (known := registry.find(name)) is not None and not known.agent.may_be_replaced:
        where = "comes with Orchestra" if known.kind == "builtin" else "is a plugin's"
        raise Conflict(f"The name '{name}' {where}: take another one.", code="name_taken")


def _check_names(organization: Organization, name: str, spec: AgentSpec) -> None:
    """Raise Invalid with every tool, agent and model that is not there."""
    faults = [
        *_unknown_tools(organization, spec),
        *_unknown_agents(organization, name, spec),
        *_unknown_workflows(organization, spec),
        *_unknown_models(spec),
    ]
    if faults:
        raise Invalid(f"The agent names what is not there. {faults[0].message}", code="invalid_agent", errors=faults)


def _unknown_tools(organization: Organization, spec: AgentSpec) -> list[ErrorItem]:
    known = [tool.name for tool in tools.all(organization.pk)]
    return [
        _unknown(f"/tools/{place}/tool", "tool", grant.tool, known)
        for place, grant in enumerate(spec.tools)
        if tools.find(grant.tool, organization.pk) is None
    ]


def _unknown(place: str, kind: str, name: str, known: Iterable[str]) -> ErrorItem:
    return ErrorItem(place, f"unknown_{kind}", f"There is no {kind} '{name}'.{nearest(name, known)}")


def _unknown_agents(organization: Organization, own: str, spec: AgentSpec) -> list[ErrorItem]:
    known = [agent.name for agent in registry.all_for(organization.pk) if agent.name != own]  # none asks itself
    return [
        _unknown(f"/{field}/{place}", "agent", grant.agent, known)
        for field, grants in (("agents", spec.agents), ("handoffs", spec.handoffs))
        for place, grant in enumerate(grants)
        if grant.agent not in known
    ]


def _unknown_workflows(organization: Organization, spec: AgentSpec) -> list[ErrorItem]:
    known = workflow_names(organization.pk) if spec.workflows else []
    return [
        _unknown(f"/workflows/{place}", "workflow", grant.workflow, known)
        for place, grant in enumerate(spec.workflows)
        if grant.workflow not in known
    ]


def _unknown_models(spec: AgentSpec) -> list[ErrorItem]:
    judge = spec.guardrails.judge
    named = [("/model", spec.model), *([("/guardrails/judge/model", judge.model)] if judge and judge.model else [])]
    return [_unknown(place, "model", name, models.names()) for place, name in named if not models.is_known(name)]


def _newer(agent: AgentDefinition) -> NewerVersion:
    extra: dict[str, Any] = {"latest_version": agent.latest_version}
    message = f"'{agent.name}' has version {agent.latest_version} by now. Look at it, and save your change over that."
    return NewerVersion(message, extra=extra)
