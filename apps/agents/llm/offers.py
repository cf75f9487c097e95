"""What a model may ask for: tools, other agents, workflows."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID

from apps.agents import registry as agents
from apps.agents.context import Context
from apps.agents.llm.spec import AgentSpec, Grant
from apps.common.database import on_thread
from apps.common.errors import Fatal, NotFound
from apps.common.json import JSON
from apps.integrations import registry as tools
from apps.integrations.language_models.shapes import OfferedTool
from apps.integrations.tools import Tool

DEEPEST = 5  # agents that ask agents
HANDOFF = {
    "type": "object",
    "required": ["task"],
    "properties": {"task": {"type": "string", "description": "All that the other one has to know."}},
}


class Refused(Exception):
    """A call that is not made; the model is told why, and may do something else."""


@dataclass(frozen=True)
class Offer:
    """Something that a model may ask for. Those that may run beside each other are told by `is_parallel`."""

    name: str
    description: str
    parameters: dict[str, Any]
    call: Callable[[dict[str, JSON], bool], Awaitable[JSON]]  # its arguments, and whether the agent is tainted
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


class _NoWorkflows:
    """What there is as long as no app of workflows has registered itself."""

    def names(self, organization_id: UUID) -> Sequence[str]:  # noqa: ARG002
        return ()

    def describe(self, organization_id: UUID, name: str) -> tuple[str, dict[str, Any]]:  # noqa: ARG002
        raise NotFound(f"There is no workflow '{name}' here.", code="unknown_workflow")


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
    found += [await _agent(name, ctx) for name in spec.agents]
    found += [await _handoff(name, ctx) for name in spec.handoffs]
    found += [await _workflow(name, ctx) for name in spec.workflows]
    return {offer.name: offer for offer in _told_apart(found)}


async def _tool(grant: Grant, ctx: Context) -> Offer:
    tool = await tools.aget(grant.tool, ctx.organization_id)

    async def call(arguments: dict[str, JSON], is_tainted: bool) -> JSON:
        if needs_leave(grant, tool, is_tainted=is_tainted):
            await _ask_leave(grant, tool, arguments, ctx)
        return await ctx.acall_tool(tool.name, arguments)

    may_ask = grant.approval == "always" or (grant.approval == "auto" and tool.changes_outside)
    is_parallel = tool.effect == "read" and not may_ask
    return Offer(tool.name, tool.description, tool.input_schema, call, is_parallel=is_parallel)


def needs_leave(grant: Grant, tool: Tool, *, is_tainted: bool) -> bool:
    """Tell whether a person has to agree: as the grant says, or because others' words may be behind the call."""
    if grant.approval == "auto":
        return tool.changes_outside and is_tainted
    return grant.approval == "always"


async def _ask_leave(grant: Grant, tool: Tool, arguments: dict[str, JSON], ctx: Context) -> None:
    tool.arguments(arguments)  # what does not fit is told to the model, and nobody is asked about it
    payload = {"tool": tool.name, "arguments": arguments}
    decision = await ctx.aask_person(f"May {ctx.agent} call {tool.name}?", payload, grant.assignees)
    if not decision.is_approved:
        said = f" They say: {decision.comment}" if decision.comment else ""
        raise Refused(f"A person has refused this call.{said}")


async def _agent(name: str, ctx: Context) -> Offer:
    agent_type = await on_thread(agents.get_for, ctx.organization_id, name)

    async def call(arguments: dict[str, JSON], _: bool) -> JSON:
        return await _deeper(ctx, name, arguments)

    return Offer(f"ask_{name}", agent_type.description, agent_type.input_schema or HANDOFF, call)


async def _handoff(name: str, ctx: Context) -> Offer:
    agent_type = await on_thread(agents.get_for, ctx.organization_id, name)

    async def call(arguments: dict[str, JSON], _: bool) -> JSON:
        return await _deeper(ctx, name, arguments)

    told = f"Leaves the whole task to {name}, whose answer is final. {agent_type.description}"
    return Offer(f"hand_off_to_{name}", told, HANDOFF, call, is_handoff=True)


async def _workflow(name: str, ctx: Context) -> Offer:
    description, schema = await on_thread(_known.workflows.describe, ctx.organization_id, name)

    async def call(arguments: dict[str, JSON], _: bool) -> JSON:
        return await ctx.arun_workflow(name, arguments)

    return Offer(f"run_{name}", description, schema, call)


async def _deeper(ctx: Context, name: str, task: JSON) -> JSON:
    """What another agent answers, in the same visit and journal."""
    from apps.agents.runtime import arun_agent  # noqa: PLC0415 - which runs this one too

    if ctx.depth >= DEEPEST:
        raise Fatal(f"Agents that ask agents are {DEEPEST} deep, the limit.", code="limit_nesting")
    with ctx.deeper():
        return (await arun_agent(name, task, ctx)).output


def _told_apart(found: Iterable[Offer]) -> Sequence[Offer]:
    """The same, none with the name of another."""
    told: dict[str, Offer] = {}
    for offer in found:
        name, number = offer.name, 2
        while name in told:
            name, number = f"{offer.name}_{number}", number + 1
        told[name] = replace(offer, name=name)
    return list(told.values())
