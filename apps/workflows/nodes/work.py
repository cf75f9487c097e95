"""The node types that execute something: agent and tool."""

from apps.agents.runtime import run_agent
from apps.agents.services.selection import run_best
from apps.workflows.engine.spec import AgentNode, ToolNode
from apps.workflows.nodes.base import Completed, NodeContext
from apps.workflows.nodes.degraded import take_step


class AgentHandler:
    """Runs an agent, chosen by name or by capability."""

    def run(self, spec: AgentNode, ctx: NodeContext) -> Completed:
        """The agent's result and the route it chose."""
        task = {} if ctx.input is None else ctx.input
        ctx.on_unknown, ctx.model = spec.on_unknown, spec.model
        if ctx.stage is not None:
            return take_step(spec, ctx.stage, task, ctx)
        if spec.agent is None:
            result = run_best(spec.capability or "", task, ctx, config=spec.config)
        else:
            result = run_agent(spec.agent, task, ctx, config=spec.config)
        return Completed(result.output, result.route)


class ToolHandler:
    """Calls one tool."""

    def run(self, spec: ToolNode, ctx: NodeContext) -> Completed:
        """The tool's result."""
        ctx.on_unknown = spec.on_unknown
        return Completed(ctx.call_own_tool(spec.tool, {} if ctx.input is None else ctx.input))
