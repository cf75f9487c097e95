"""What can be asked over A2A: the workflows that are offered, and the agents; and how a message becomes their input."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.accounts.access import Access
from apps.accounts.models import Organization
from apps.agents import registry as agents
from apps.agents.registry import AgentType
from apps.common import json
from apps.common.errors import NotFound
from apps.common.json import JSON
from apps.workflows import selectors
from apps.workflows.models import OfferedWorkflow, WorkflowVersion
from apps.workflows.services import versions
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.definitions import check_definition

FRONT = "assistant"  # who answers where nobody is named
NODE = "agent"  # of the workflow that one agent is wrapped in
# Where the text of a message goes, by what such fields are usually called.
TEXT_FIELDS = ("task", "text", "message", "query", "question", "goal", "prompt", "input", "description")
MOST_AGENTS = 200


@dataclass(frozen=True)
class Skill:
    """Something that can be asked for, by name."""

    name: str
    title: str
    description: str
    tags: tuple[str, ...]
    is_agent: bool
    version: Callable[[], WorkflowVersion]  # what runs
    input: Callable[[str, dict[str, JSON]], dict[str, JSON]]  # of the run, from text and data


def find_skill(access: Access, name: str) -> Skill:
    """The offered workflow or the agent of this name, in the organization in scope; raises NotFound."""
    offer = selectors.offers().filter(name=name).first()
    if offer is not None:
        return _of_workflow(offer)
    agent = agents.find_for(access.organization.pk, name)
    if agent is None:
        raise NotFound(f"There is no agent '{name[:80]}'.", code="unknown_agent")
    return of_agent(agent, access.organization)


def all_skills(access: Access) -> Iterator[Skill]:
    """Every offered workflow and every agent of the organization in scope."""
    for offer in selectors.offers()[:MOST_AGENTS]:
        yield _of_workflow(offer)
    for agent in agents.all_for(access.organization.pk)[:MOST_AGENTS]:
        if agent.capabilities:
            yield of_agent(agent, access.organization)


def of_agent(agent: AgentType, organization: Organization | None = None) -> Skill:
    """What one agent does, wrapped in a workflow of one node."""
    document = {
        "name": f"a2a-{agent.name}",
        "nodes": {NODE: {"type": "agent", "agent": agent.name, "input": "{{ inputs.task }}"}},
    }

    def version() -> WorkflowVersion:
        assert organization is not None  # noqa: S101 - only a card is made without one
        source = versions.Source(json.dumps(document).decode(), "json")
        return versions.inline_version(
            organization=organization, checked=check_definition(document), source=source, by="a2a"
        )

    return Skill(
        name=agent.name,
        title=agent.name,
        description=agent.description or agent.name,
        tags=agent.capabilities or ("agent",),
        is_agent=True,
        version=version,
        input=lambda text, data: {"task": _agent_input(agent, text, data)},
    )


def _of_workflow(offer: OfferedWorkflow) -> Skill:
    workflow = offer.workflow

    def version() -> WorkflowVersion:
        return versions.find_version(workflow, workflow.published_version)

    def given(text: str, data: dict[str, JSON]) -> dict[str, JSON]:
        return with_text(compiled_version(version().pk).definition.inputs or {}, text, data)

    title = workflow.title or workflow.name
    return Skill(
        name=offer.name,
        title=title,
        description=workflow.description or f"Runs the workflow '{title}'.",
        tags=("workflow",),
        is_agent=False,
        version=version,
        input=given,
    )


def with_text(schema: Mapping[str, Any], text: str, data: dict[str, JSON]) -> dict[str, JSON]:
    """The data, with the text in the field that is there for it."""
    if not text:
        return data
    properties = schema.get("properties")
    parts = properties if isinstance(properties, Mapping) else {}
    free = [name for name, part in parts.items() if name not in data and _takes_text(part)]
    usual = [name for name in TEXT_FIELDS if name in free]
    required = [name for name in free if name in schema.get("required", ())]
    field = next(iter([*usual, *required, *free]), TEXT_FIELDS[0])
    return {**data, field: text}


def _agent_input(agent: AgentType, text: str, data: dict[str, JSON]) -> JSON:
    takes_anything = not agent.input_schema.get("properties")
    return text if takes_anything and not data else with_text(agent.input_schema, text, data)


def _takes_text(part: Any) -> bool:
    if not isinstance(part, Mapping):
        return False
    kinds = part.get("type", "string" if not {"$ref", "anyOf", "enum"} & set(part) else "")
    return "string" in (kinds if isinstance(kinds, list) else [kinds])


def is_uuid(text: str) -> bool:
    """Whether a text is an id of ours, in full."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
