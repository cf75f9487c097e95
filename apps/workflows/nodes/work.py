"""The node types that execute something: agent and tool."""

from apps.agents import registry
from apps.agents.runtime import run_agent
from apps.common.errors import Fatal
from apps.integrations import services as tools
from apps.integrations.tools import ToolContext
from apps.workflows.engine.spec import AgentNode, ToolNode
from apps.workflows.nodes.base import Completed, NodeContext


class AgentHandler:
    """Runs an agent, chosen by name or by capability."""

    def run(self, spec: AgentNode, ctx: NodeContext) -> Completed:
        """The agent's result and the route it chose."""
        name = spec.agent or _capable(spec.capability or "")
        result = run_agent(name, {} if ctx.input is None else ctx.input, ctx, config=spec.config)
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


def _capable(capability: str) -> str:
    """The agent that is chosen for a capability: the first by name."""
    agents = registry.by_capability(capability)
    if not agents:
        raise Fatal(f"No agent can do '{capability}'.", code="no_agent")
    return min(agent.name for agent in agents)
