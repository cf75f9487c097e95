"""From what a person sent to a checked definition."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from django_scopes import get_scope

from apps.agents import registry as agents
from apps.agents.registry import AgentType
from apps.agents.sdk import BaseNode
from apps.common.errors import ErrorItem, Invalid
from apps.common.json import JSON, dumps
from apps.integrations import registry as tools
from apps.integrations.language_models import registry as language_models
from apps.workflows.engine import dialects
from apps.workflows.engine.compiler import Compiled, compile_definition
from apps.workflows.engine.errors import DefinitionError, Issue
from apps.workflows.models import Workflow


@dataclass(frozen=True)
class Checked:
    """A definition that may be saved or run."""

    compiled: Compiled
    dialect: str
    warnings: list[Issue]

    @cached_property
    def document(self) -> JSON:
        """The canonical form."""
        return self.compiled.definition.document()

    @cached_property
    def digest(self) -> str:
        """What makes two definitions the same: SHA-256 of the canonical form, in its order."""
        return hashlib.sha256(dumps(self.document)).hexdigest()


@dataclass(frozen=True)
class Names:
    """Everything a definition may name."""

    agents: Collection[str]
    capabilities: Collection[str]
    tools: Collection[str]
    models: Collection[str]
    workflows: Collection[str]


def check_definition(document: JSON, *, at: str = "") -> Checked:
    """The checked definition of a document in any dialect; raises Invalid with every issue and its place.

    `at` is where the document stands in what was sent.
    """
    try:
        loaded = dialects.load(document, node_classes=node_classes())
        try:
            compiled = compile_definition(loaded.definition, known_names())
        except DefinitionError as error:
            raise DefinitionError([loaded.relocate(issue) for issue in error.issues]) from None
    except DefinitionError as error:
        raise invalid_definition(error, at) from None
    return Checked(compiled, loaded.dialect, [loaded.relocate(warning) for warning in compiled.warnings])


def canonical_form(document: JSON) -> tuple[str, JSON]:
    """The dialect of a document, and the document in canonical form; raises Invalid. Names are not checked."""
    try:
        loaded = dialects.load(document, node_classes=node_classes())
    except DefinitionError as error:
        raise invalid_definition(error) from None
    return loaded.dialect, loaded.definition.document()


def invalid_definition(error: DefinitionError, at: str = "") -> Invalid:
    """The API's error for a document that cannot be used."""
    count = len(error.issues)
    first = error.issues[0]
    problems = "1 problem" if count == 1 else f"{count} problems"
    detail = f"The definition has {problems}. {first.pointer or 'At the top'}: {first.message}"
    items = [ErrorItem(at + issue.pointer, issue.code, issue.message, issue.fix) for issue in error.issues]
    return Invalid(detail, code="invalid_definition", errors=items)


def known_names() -> Names:
    """What exists in this process and in the organization of the current scope."""
    organization = get_scope().get("organization")
    return Names(
        agents=_AgentNames(getattr(organization, "pk", organization)),
        capabilities=_Capabilities(getattr(organization, "pk", organization)),
        tools=frozenset(tool.name for tool in tools.all()),
        models=frozenset(model.name for model in language_models.all()),
        workflows=_WorkflowNames(),
    )


def node_classes() -> dict[str, tuple[str, ...] | None]:
    """The node classes of the state-machine dialect, each with the targets it declares."""
    return {agent.name: agent.targets or None for agent in agents.all() if issubclass(agent.agent, BaseNode)}


class _AgentNames(Collection[str]):
    """The agents of this process and of the organization, whose own are read when a definition names one of them."""

    def __init__(self, organization_id: UUID | None) -> None:
        self._organization_id = organization_id

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        organization = self._organization_id
        return self._is_here(name) or (organization is not None and self._is_own(organization, name))

    def _is_here(self, name: str) -> bool:
        return agents.find(name) is not None

    def _is_own(self, organization_id: UUID, name: str) -> bool:
        return agents.is_own(organization_id, name=name)

    def _names_of(self, agent: AgentType) -> tuple[str, ...]:
        return (agent.name,)

    @cached_property
    def _names(self) -> frozenset[str]:
        known = agents.all_for(self._organization_id) if self._organization_id else agents.all()
        return frozenset(name for agent in known for name in self._names_of(agent))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Capabilities(_AgentNames):
    """What they can do."""

    def _is_here(self, name: str) -> bool:
        return agents.can(name)

    def _is_own(self, organization_id: UUID, name: str) -> bool:
        return agents.is_own(organization_id, capability=name)

    def _names_of(self, agent: AgentType) -> tuple[str, ...]:
        return agent.capabilities


class _WorkflowNames(Collection[str]):
    """The organization's workflow names, read when the first definition asks."""

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(Workflow.objects.filter(archived_at=None).values_list("name", flat=True))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
