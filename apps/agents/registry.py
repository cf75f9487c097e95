"""The agents this process knows and those of an organization, by name and by what they can do."""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import UUID

from pydantic import TypeAdapter

from apps.common.errors import NotFound
from apps.common.json import JSON
from apps.common.registry import Registry, nearest

if TYPE_CHECKING:
    from apps.agents.sdk import Agent

Kind = Literal["builtin", "plugin", "llm", "remote"]


@dataclass(frozen=True)
class AgentType:
    """An agent class and what others may know about it.

    A source (`register_source`) derives from this: what an agent of an organization is called, can do, takes and gives
    stands in its row, and `make` gives the Agent that does it.
    """

    agent: "type[Agent]"

    @cached_property
    def name(self) -> str:
        return self.agent.name

    @cached_property
    def description(self) -> str:
        return self.agent.description or inspect.cleandoc(self.agent.__dict__.get("__doc__") or "")

    @property
    def kind(self) -> Kind:
        return "builtin" if self.agent.__module__.startswith("apps.") else "plugin"

    def make(self, config: Any) -> "Agent":
        """Give the object that does one visit, from its checked Config."""
        return self.agent(config)

    @property
    def origin(self) -> str:
        return f"{self.agent.__module__}.{self.agent.__qualname__}"

    @cached_property
    def capabilities(self) -> tuple[str, ...]:
        return tuple(self.agent.capabilities)

    @property
    def measured_as(self) -> str:
        """Give the name under which its figures are kept."""
        return self.name

    @property
    def load(self) -> float:
        """Give how full it is, from 0 to 1; what runs inside the workers has their room."""
        return 0.0

    @property
    def has_room(self) -> bool:
        """Tell whether it can be given a task now."""
        return True

    @property
    def is_healthy(self) -> bool:
        """Tell whether it shows itself."""
        return True

    @property
    def alive(self) -> int:
        """Give how many processes of its own are alive; none for what runs inside the workers."""
        return 0

    @property
    def usd_per_call(self) -> float:
        """Give what a call costs, as far as it says so itself."""
        return 0.0

    def places(self, capability: str) -> "list[AgentType]":  # noqa: ARG002
        """Give what may be chosen for a capability: one for each instance, where there are several."""
        return [self]

    @property
    def majors(self) -> tuple[int, ...]:
        return self.agent.majors

    @property
    def queue(self) -> str:
        return self.agent.queue

    @property
    def targets(self) -> tuple[str, ...]:
        """The node classes or ids that a state-machine node may route to; empty for other agents."""
        return tuple(getattr(self.agent, "targets", ()))

    def addressed(self, task: JSON, capability: str) -> JSON:
        """Give the task as the agent needs it when it was chosen for a capability.

        An agent that can do several things learns from `task_type` which one is meant.
        """
        fields = getattr(self.agent.Input, "model_fields", {})
        if isinstance(task, dict) and "task_type" in fields and "task_type" not in task:
            return {"task_type": capability, **task}
        return task

    @cached_property
    def config(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.agent.Config)

    @cached_property
    def input(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.agent.Input)

    @cached_property
    def output(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.agent.Output)

    @cached_property
    def config_schema(self) -> dict[str, Any]:
        return self.config.json_schema()

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        return self.input.json_schema()

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        return self.output.json_schema(mode="serialization")


class Source(Protocol):
    """Where the agents of organizations come from, such as rows of the database.

    It is asked inside and outside of any scope, and answers for the organization that is named and for no other.
    """

    def find(self, organization_id: UUID, name: str) -> AgentType | None:
        """Give the organization's agent of this name."""

    def all(self, organization_id: UUID) -> Iterable[AgentType]:
        """Give the organization's agents."""


_agents: Registry[AgentType] = Registry("agent")
_sources: list[Source] = []
_known: dict[tuple[UUID, str, str], bool] = {}  # what was known once: the engine asks again and again
MOST_KNOWN = 10_000


def register(agent: "type[Agent]") -> AgentType:
    """Make an agent class known by its name; a second class of that name raises DuplicateNameError."""
    agent_type = AgentType(agent)
    _agents.register(agent.name, agent_type, origin=agent_type.origin)
    return agent_type


def unregister(name: str) -> None:
    """Forget an agent."""
    _agents.unregister(name)


def get(name: str) -> AgentType:
    """Give the agent, or raises NotFound naming the nearest one."""
    return _agents.get(name)


def find(name: str) -> AgentType | None:
    """Give the agent; None where this process does not have it."""
    return _agents.find(name)


def changes() -> int:
    """How often an agent was registered or forgotten."""
    return _agents.changes


def all() -> Iterator[AgentType]:  # noqa: A001 - reads as registry.all()
    """Give every agent, by name."""
    return iter(_agents)


def by_capability(capability: str) -> list[AgentType]:
    """Give the agents that can do this, by name; none is an empty list."""
    return [agent_type for agent_type in _agents if capability in agent_type.capabilities]


def can(capability: str) -> bool:
    """Tell whether an agent of this process can do this."""
    return capability in _capabilities(_agents.changes)


@lru_cache(maxsize=1)
def _capabilities(_changes: int) -> frozenset[str]:
    return frozenset(capability for agent_type in _agents for capability in agent_type.capabilities)


def select(capability: str) -> AgentType:
    """Give the agent to use for a capability, or raises NotFound naming the nearest capability.

    Plugins come before what is built in: who installs one for a capability wants it used.
    """
    return _first(by_capability(capability), capability, _agents)


def register_source(source: Source) -> None:
    """Have agents of organizations found, too: by `find_for` and everything else that ends in `_for`."""
    if source not in _sources:
        _sources.append(source)


def find_for(organization_id: UUID, name: str) -> AgentType | None:
    """Give the agent that the name means for an organization: one of this process before one of its own.

    What is built in under a name that an organization may have taken before leaves it to that one.
    """
    found = find(name)
    if found is not None and not found.agent.may_be_replaced:
        return found
    return next(filter(None, (source.find(organization_id, name) for source in _sources)), found)


def get_for(organization_id: UUID, name: str) -> AgentType:
    """Give the agent that the name means for an organization, or raises NotFound naming the nearest one."""
    found = find_for(organization_id, name)
    if found is None:
        hint = nearest(name, [agent_type.name for agent_type in all_for(organization_id)])
        raise NotFound(f"There is no agent '{name}'.{hint}", code="unknown_agent")
    return found


def all_for(organization_id: UUID) -> list[AgentType]:
    """Give this process's agents and the organization's own, by name."""
    own = {agent_type.name: agent_type for source in reversed(_sources) for agent_type in source.all(organization_id)}
    ours = {agent_type.name: agent_type for agent_type in _agents if not agent_type.agent.may_be_replaced}
    everything = {agent_type.name: agent_type for agent_type in _agents} | own | ours
    return [everything[name] for name in sorted(everything)]


def able_for(organization_id: UUID, capability: str) -> list[AgentType]:
    """Give the agents that can do this for an organization, by name; none is an empty list."""
    return [agent_type for agent_type in all_for(organization_id) if capability in agent_type.capabilities]


def select_for(organization_id: UUID, capability: str) -> AgentType:
    """Give the agent to use for a capability as `select` does, the organization's own among them."""
    everything = all_for(organization_id)
    able = [agent_type for agent_type in everything if capability in agent_type.capabilities]
    return _first(able, capability, everything)


def is_own(organization_id: UUID, *, name: str | None = None, capability: str | None = None) -> bool:
    """Tell whether the organization has an agent of its own of this name, or with this capability.

    Once true it stays true in this process: the engine asks whenever a node starts, and what has gone since is found
    out when the node runs.
    """
    key = organization_id, name or "", capability or ""
    if key not in _known:
        if not any(_owns(source, organization_id, name, capability) for source in _sources):
            return False
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[key] = True
    return True


def _owns(source: Source, organization_id: UUID, name: str | None, capability: str | None) -> bool:
    if name is not None:
        return source.find(organization_id, name) is not None
    return any(capability in agent_type.capabilities for agent_type in source.all(organization_id))


def _first(able: list[AgentType], capability: str, everything: Iterable[AgentType]) -> AgentType:
    if not able:
        known = {known for agent_type in everything for known in agent_type.capabilities}
        raise NotFound(
            f"No agent has the capability '{capability}'.{nearest(capability, known)}", code="unknown_capability"
        )
    return min(able, key=rank)


def rank(agent_type: AgentType) -> tuple[bool, str]:
    """Give the place among agents that are equally good: what somebody installed or made comes before built-in."""
    return agent_type.kind == "builtin", agent_type.name
