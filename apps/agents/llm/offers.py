"""What a model may ask for: tools, other agents, workflows."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID

from apps.agents import registry as agents
from apps.agents.context import Context
from apps.agents.llm.spec import AgentGrant, AgentSpec, AnyGrant, Grant, WorkflowGrant
from apps.agents.registry import AgentType
from apps.agents.runtime import arun_agent, check_task
from apps.common.database import on_thread
from apps.common.errors import Fatal, NotFound
from apps.common.json import JSON
from apps.integrations import registry as tools
from apps.integrations.language_models.shapes import OfferedTool, ToolCall

DEEPEST = 5  # agents that ask agents
HANDOFF = {
    "type": "object",
    "required": ["task"],
    "properties": {"task": {"type": "string", "description": "All that the other one has to know."}},
}


Call = Callable[[ToolCall, bool], Awaitable[JSON]]  # what is wanted, and whether the agent is tainted


class Refused(Exception):
    """A call that is not made; the model is told why, and may do something else."""


@dataclass(frozen=True)
class Offer:
    """Something that a model may ask for. Those that may run beside each other are told by `is_parallel`."""

    name: str
    description: str
    parameters: dict[str, Any]
    call: Call
    is_parallel: bool = False
    is_handoff: bool = False

    def as_tool(self) -> OfferedTool:
        """Give it as a request to a model has it."""
        return OfferedTool(name=self.name, description=self.description, parameters=self.parameters)


class Workflows(Protocol):
    """The workflows of an organization, as what is above this app knows them."""

    def names(self, organization_id: UUID) -> Sequence[str]:
        """Give the names of the workflows that can be run."""

    def describe(self, organization_id: UUID, name: str) -> tuple[str, dict[str, Any]]:
        """Give what a workflow does and the JSON Schema of its input; raises NotFound."""

    def check(self, organization_id: UUID, name: str, given: JSON) -> None:
        """Raise NotFound for an unknown workflow, Fatal for input that it does not take."""


class _NoWorkflows:
    """What there is as long as no app of workflows has registered itself."""

    def names(self, organization_id: UUID) -> Sequence[str]:  # noqa: ARG002
        return ()

    def describe(self, organization_id: UUID, name: str) -> tuple[str, dict[str, Any]]:  # noqa: ARG002
        raise NotFound(f"There is no workflow '{name}' here.", code="unknown_workflow")

    def check(self, organization_id: UUID, name: str, given: JSON) -> None:  # noqa: ARG002
        self.describe(organization_id, name)


@dataclass
class _Known:
    workflows: Workflows


_known = _Known(_NoWorkflows())


def register_workflows(workflows: Workflows) -> None:
    """Tell agents which workflows they may be given."""
    _known.workflows = workflows


def workflow_names(organization_id: UUID) -> Sequence[str]:
    """Give the names of the organization's workflows that an agent may be given."""
    return _known.workflows.names(organization_id)


async def offers_of(spec: AgentSpec, ctx: Context) -> dict[str, Offer]:
    """Give what the agent may ask for, by the names that the model is told; raises NotFound for what is not there."""
    found = [await _tool(grant, ctx) for grant in spec.tools]
    found += [await _agent(grant, ctx) for grant in spec.agents]
    found += [await _handoff(grant, ctx) for grant in spec.handoffs]
    found += [await _workflow(grant, ctx) for grant in spec.workflows]
    return {offer.name: offer for offer in _told_apart(found)}


async def _tool(grant: Grant, ctx: Context) -> Offer:
    tool = await tools.aget(grant.tool, ctx.organization_id)

    async def call(wanted: ToolCall, is_tainted: bool) -> JSON:
        arguments = wanted.arguments
        with _refusing_what_does_not_fit():
            tool.arguments(arguments)
        if needs_leave(grant, is_tainted=is_tainted, changes_outside=tool.changes_outside):
            await _ask_leave(f"call {tool.name}", grant, {"tool": tool.name, "arguments": arguments}, ctx)
        return await ctx.acall_tool(tool.name, arguments, call_id=wanted.id)

    may_ask = grant.approval == "always" or (grant.approval == "auto" and tool.changes_outside)
    is_parallel = tool.effect == "read" and not may_ask
    return Offer(tool.name, tool.description, tool.input_schema, call, is_parallel=is_parallel)


async def _agent(grant: AgentGrant, ctx: Context) -> Offer:
    agent_type = await _named(grant, ctx)
    call = _turning_to("ask", grant, ctx)
    return Offer(f"ask_{grant.agent}", agent_type.description, agent_type.input_schema or HANDOFF, call)


async def _handoff(grant: AgentGrant, ctx: Context) -> Offer:
    agent_type = await _named(grant, ctx)
    call = _turning_to("leave its task to", grant, ctx)
    told = f"Leaves the whole task to {grant.agent}, whose answer is final. {agent_type.description}"
    return Offer(f"hand_off_to_{grant.agent}", told, HANDOFF, call, is_handoff=True)


def _turning_to(act: str, grant: AgentGrant, ctx: Context) -> Call:
    """How another agent is given something; only one outside needs leave, as one of ours is tainted with the visit."""

    async def call(wanted: ToolCall, is_tainted: bool) -> JSON:
        arguments = wanted.arguments
        agent_type = await _named(grant, ctx)
        with _refusing_what_does_not_fit():
            check_task(agent_type, arguments)
        if needs_leave(grant, is_tainted=is_tainted, changes_outside=agent_type.kind == "remote"):
            await _ask_leave(f"{act} {grant.agent}", grant, {"agent": grant.agent, "arguments": arguments}, ctx)
        return await _deeper(ctx, agent_type, arguments)

    return call


async def _named(grant: AgentGrant, ctx: Context) -> AgentType:
    return await on_thread(agents.get_for, ctx.organization_id, grant.agent)


async def _workflow(grant: WorkflowGrant, ctx: Context) -> Offer:
    name = grant.workflow
    description, schema = await on_thread(_known.workflows.describe, ctx.organization_id, name)

    async def call(wanted: ToolCall, is_tainted: bool) -> JSON:
        arguments = wanted.arguments
        with _refusing_what_does_not_fit():
            await on_thread(_known.workflows.check, ctx.organization_id, name, arguments)
        if needs_leave(grant, is_tainted=is_tainted, changes_outside=True):
            await _ask_leave(f"run {name}", grant, {"workflow": name, "arguments": arguments}, ctx)
        return await ctx.arun_workflow(name, arguments)

    return Offer(f"run_{name}", description, schema, call)


def needs_leave(grant: AnyGrant, *, is_tainted: bool, changes_outside: bool) -> bool:
    """Tell whether a person has to agree: as the grant says, or because others' words may be behind the call."""
    if grant.approval == "auto":
        return changes_outside and is_tainted
    return grant.approval == "always"


async def _ask_leave(act: str, grant: AnyGrant, payload: JSON, ctx: Context) -> None:
    try:
        decision = await ctx.aask_person(f"May {ctx.agent} {act}?", payload, grant.assignees)
    except Fatal as nobody:
        raise Refused(str(nobody)) from None
    if not decision.is_approved:
        said = f" They say: {decision.comment}" if decision.comment else ""
        raise Refused(f"A person has refused this call.{said}")


@contextmanager
def _refusing_what_does_not_fit() -> Iterator[None]:
    """Have the model told what is wrong with its arguments: nobody is asked about them, and no other has said it."""
    try:
        yield
    except Fatal as wrong:
        raise Refused(str(wrong)) from None


async def _deeper(ctx: Context, agent_type: AgentType, task: JSON) -> JSON:
    """What another agent answers, in the same visit and journal."""
    if ctx.depth >= DEEPEST:
        raise Fatal(f"Agents that ask agents are {DEEPEST} deep, the limit.", code="limit_nesting")
    with ctx.deeper():
        return (await arun_agent(agent_type, task, ctx)).output


def _told_apart(found: Iterable[Offer]) -> Sequence[Offer]:
    """The same, none with the name of another."""
    told: dict[str, Offer] = {}
    for offer in found:
        name, number = offer.name, 2
        while name in told:
            name, number = f"{offer.name}_{number}", number + 1
        told[name] = replace(offer, name=name)
    return list(told.values())
