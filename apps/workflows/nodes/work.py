"""The node types that execute something: agent and tool."""

from apps.agents import registry
from apps.agents.runtime import run_agent
from apps.integrations import services as tools
from apps.integrations.tools import ToolContext
from apps.workflows.engine.spec import AgentNode, ToolNode
from apps.workflows.nodes.base import Completed, NodeContext


class AgentHandler:
    """Runs an agent, chosen by name or by capability."""

    def run(self, spec: AgentNode, ctx: NodeContext) -> Completed:
        """The agent's result and the route it chose."""
        task = {} if ctx.input is None else ctx.input
        if spec.agent is None:
            capability = spec.capability or ""
            chosen = registry.select(capability)
            result = run_agent(chosen.name, chosen.addressed(task, capability), ctx, config=spec.config)
        else:
            result = run_agent(spec.agent, task, ctx, config=spec.config)
        return Completed(result.output, result.route)


class ToolHandler:
    """Calls one tool."""

    def run(self, spec: ToolNode, ctx: NodeContext) -> Completed:
        """The tool's result."""
        tool_context = ToolContext(
            organization_id=ctx.organization_id,
            idempotency_key=ctx.tool_key(),
            run_id=ctx.run_id,
            node=ctx.node,
            log=ctx.log,
            cancelled=lambda: ctx.cancelled,
        )
        return Completed(tools.invoke(spec.tool, {} if ctx.input is None else ctx.input, tool_context))
