"""Everything that a definition may name: looked up, not listed, as an organization may have much of its own."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from apps.accounts.selectors import organization_in_scope
from apps.agents import registry as agents
from apps.agents.registry import AgentType
from apps.integrations import registry as tools
from apps.integrations.language_models import resolving as language_models
from apps.workflows.models import Workflow


@dataclass(frozen=True)
class Names:
    """What the compiler asks whether it exists."""

    agents: Collection[str]
    capabilities: Collection[str]
    tools: Collection[str]
    models: Collection[str]
    workflows: Collection[str]


def known_names() -> Names:
    """What exists in this process and in the organization of the current scope."""
    organization = organization_in_scope()
    return Names(
        agents=_Agents(organization),
        capabilities=_Capabilities(organization),
        tools=_Tools(organization),
        models=_Models(organization),
        workflows=_Workflows(organization),
    )


class _Known(Collection[str]):
    """Names of one kind; all of them are read only where somebody looks for the nearest one."""

    def __init__(self, organization: UUID | None) -> None:
        self.organization = organization

    @abstractmethod
    def all(self) -> Iterable[str]:
        """Every name."""

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.all())

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Agents(_Known):
    def all(self) -> Iterable[str]:
        return (agent.name for agent in _all_agents(self.organization))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (agents.find(name) is not None or self._is_own(name))

    def _is_own(self, name: str) -> bool:
        return self.organization is not None and agents.is_own(self.organization, name=name)


class _Capabilities(_Known):
    def all(self) -> Iterable[str]:
        return (capability for agent in _all_agents(self.organization) for capability in agent.capabilities)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (agents.can(name) or self._is_own(name))

    def _is_own(self, name: str) -> bool:
        return self.organization is not None and agents.is_own(self.organization, capability=name)


class _Tools(_Known):
    def all(self) -> Iterable[str]:
        return (tool.name for tool in tools.all(self.organization))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and tools.find(name, self.organization) is not None


class _Models(_Known):
    def all(self) -> Iterable[str]:
        return language_models.names()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and language_models.is_known(name)


class _Workflows(_Known):
    def all(self) -> Iterable[str]:
        return Workflow.objects.filter(archived_at=None).values_list("name", flat=True)


def _all_agents(organization: UUID | None) -> Iterable[AgentType]:
    return agents.all() if organization is None else agents.all_for(organization)
