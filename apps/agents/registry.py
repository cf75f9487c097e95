"""The agents this process knows, by name and by what they can do."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from apps.common.errors import NotFound
from apps.common.json import JSON
from apps.common.registry import Registry, nearest

if TYPE_CHECKING:
    from apps.agents.sdk import Agent

Kind = Literal["builtin", "plugin"]


@dataclass(frozen=True)
class AgentType:
    """A registered agent class and what others may know about it."""

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

    @property
    def origin(self) -> str:
        return f"{self.agent.__module__}.{self.agent.__qualname__}"

    @cached_property
    def capabilities(self) -> tuple[str, ...]:
        return tuple(self.agent.capabilities)

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


_agents: Registry[AgentType] = Registry("agent")


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


def select(capability: str) -> AgentType:
    """Give the agent to use for a capability, or raises NotFound naming the nearest capability.

    Plugins come before what is built in: who installs one for a capability wants it used.
    """
    able = by_capability(capability)
    if not able:
        known = {known for agent_type in _agents for known in agent_type.capabilities}
        raise NotFound(
            f"No agent has the capability '{capability}'.{nearest(capability, known)}", code="unknown_capability"
        )
    return min(able, key=lambda agent_type: (agent_type.kind == "builtin", agent_type.name))
