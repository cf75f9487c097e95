"""Agents outside as agents like any other: found by name and capability, and run by giving them a task."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any, ClassVar
from uuid import UUID

from django.db.models import Q
from django_scopes import scope
from pydantic import AfterValidator, JsonValue, TypeAdapter, WithJsonSchema

from apps.agents import selectors
from apps.agents.context import Context
from apps.agents.models import AgentInstance
from apps.agents.registry import AgentType, Kind
from apps.agents.sdk import Agent
from apps.agents.services import delivery
from apps.agents.services.remote_tasks import Wanted
from apps.common.database import first_row
from apps.common.json import JSON
from apps.common.json_schema import Checker

_ANY = "select 1 from agents_agentinstance where organization_id = %(organization)s limit 1"


class RemoteAgent(Agent):
    """Gives its task to an instance outside, and waits for the result."""

    Config: ClassVar[Any] = dict[str, JsonValue]

    def __init__(self, config: Any, agent_type: "RemoteAgentType") -> None:
        super().__init__(config)
        self._type = agent_type

    def exec(self, task: Any, ctx: Context) -> Any:
        """Ask once, whatever dies meanwhile: the row of the task is found again, and the journal has the result."""
        wanted = Wanted(
            key=ctx.key_of_ask(),
            agent=self._type.name,
            capability=self._type.capability,
            input=task,
            config=self.config or None,
            run_id=ctx.run_id,
            node=ctx.node,
        )
        return ctx.step(f"remote:{self._type.name}", delivery.deliver, ctx, wanted, self._type.preferred)


@dataclass(frozen=True)
class RemoteAgentType(AgentType):
    """An agent whose instances are outside; with `at` the one that was chosen comes first."""

    agent: type[Agent] = RemoteAgent
    instances: Sequence[AgentInstance] = ()  # the one heard of last first
    called: str = ""
    capability: str = ""  # for which it was chosen
    preferred: AgentInstance | None = None

    @property
    def _newest(self) -> AgentInstance:
        return self.preferred or self.instances[0]

    @property
    def name(self) -> str:
        """Give the name of the agent, or of the instance where that was asked for."""
        return self.called or self._newest.agent

    @property
    def description(self) -> str:
        """Give what the agent says of itself."""
        return self._newest.description

    @property
    def kind(self) -> Kind:
        """Give `remote`."""
        return "remote"

    @property
    def origin(self) -> str:
        """Give the instances."""
        return ", ".join(one.name for one in self.instances)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Give what any of its instances can do."""
        return tuple(dict.fromkeys(name for one in self.instances for name in one.capability_names))

    @property
    def measured_as(self) -> str:
        """Give the name under which figures are kept."""
        return self.preferred.measured_as if self.preferred else self.name

    @property
    def load(self) -> float:
        """Give how full the chosen instance is, or else the one with most room."""
        return min((selectors.load_of(one) for one in self._candidates), default=0.0)

    @property
    def has_room(self) -> bool:
        """Tell whether it can be given a task now."""
        return any(selectors.has_room(one) for one in self._candidates)

    @property
    def is_healthy(self) -> bool:
        """Tell whether any instance is alive."""
        return self.alive > 0

    @property
    def alive(self) -> int:
        """Give how many instances are alive."""
        return sum(bool(getattr(one, "is_alive", False)) for one in self.instances)

    @property
    def usd_per_call(self) -> float:
        """Give what the newest instance says that a call costs."""
        return float(self._newest.usd_per_call)

    @property
    def _candidates(self) -> Sequence[AgentInstance]:
        chosen = [self.preferred] if self.preferred else self.instances
        return [one for one in chosen if getattr(one, "is_ready", False)]

    def places(self, capability: str) -> "list[AgentType]":
        """Give one for each instance that is ready; itself where none is."""
        able = replace(self, capability=capability)
        ready = [
            one for one in self.instances if getattr(one, "is_ready", False) and capability in one.capability_names
        ]
        return [replace(able, preferred=one) for one in ready] or [able]

    def addressed(self, task: JSON, capability: str) -> JSON:
        """Give the task with its `task_type` where the schema has one."""
        fields = self.input_schema.get("properties", {})
        if isinstance(task, dict) and "task_type" in fields and "task_type" not in task:
            return {"task_type": capability, **task}
        return task

    def make(self, config: Any) -> Agent:
        """Give the object that does one visit."""
        return RemoteAgent(config, self)

    @property
    def config_schema(self) -> dict[str, Any]:
        """Give what the newest instance takes as config; empty takes any object."""
        schema: dict[str, Any] = self._newest.config_schema
        return schema

    @property
    def input_schema(self) -> dict[str, Any]:
        """Give what the capability takes, or else the agent."""
        return self._schema("input_schema")

    @property
    def output_schema(self) -> dict[str, Any]:
        """Give what comes back."""
        return self._schema("output_schema")

    @property
    def input(self) -> TypeAdapter[Any]:
        """Give what checks a task."""
        return _adapter(self.input_schema)

    @property
    def output(self) -> TypeAdapter[Any]:
        """Give what checks a result."""
        return _adapter(self.output_schema)

    def _schema(self, which: str) -> dict[str, Any]:
        of_capability: dict[str, Any] = {}
        for one in self._newest.capabilities:
            if one["name"] == self.capability:
                of_capability = one.get(which) or {}
        return dict(of_capability or getattr(self._newest, which))


class LiveAgents:
    """The source of the agents outside; one that is silent is still known, so that workflows may name it."""

    def find(self, organization_id: UUID, name: str) -> AgentType | None:
        """See Source.find: the name of an agent, or of one instance."""
        found = _read(organization_id, Q(agent=name) | Q(name=name))
        if not found:
            return None
        of_agent = [one for one in found if one.agent == name]
        return (
            RemoteAgentType(instances=tuple(of_agent))
            if of_agent
            else RemoteAgentType(instances=tuple(found), called=name)
        )

    def all(self, organization_id: UUID) -> Iterable[AgentType]:
        """See Source.all."""
        if first_row(_ANY, organization=organization_id) is None:  # nearly always, and a plan for it is kept
            return []
        found = sorted(_read(organization_id, Q()), key=attrgetter("agent"))
        return [RemoteAgentType(instances=tuple(group)) for _, group in groupby(found, key=attrgetter("agent"))]


def _read(organization_id: UUID, wanted: Q) -> list[AgentInstance]:
    # The connection is not released here: the engine asks inside its transaction, which may be on this very one.
    with scope(organization=organization_id):
        return list(selectors.instances().filter(wanted).order_by("-heartbeat_at", "name"))


def _adapter(schema: dict[str, Any]) -> TypeAdapter[Any]:
    if not schema:
        return TypeAdapter(JsonValue)

    def fits(value: Any) -> Any:
        failures = list(Checker(schema).failures(value))
        if failures:
            path, message = failures[0]
            raise ValueError(f"{'/'.join(map(str, path))}: {message}" if path else message)
        return value

    return TypeAdapter(Annotated[JsonValue, AfterValidator(fits), WithJsonSchema(schema)])
