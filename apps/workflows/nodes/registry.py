"""Which handler serves which node type, and what a worker has to have for a node run."""

from collections.abc import Iterable
from functools import lru_cache
from uuid import UUID

from apps.agents import registry as agents
from apps.agents.registry import AgentType
from apps.integrations import registry as tools
from apps.integrations.tools import Tool
from apps.workflows.engine.spec import AgentNode, Node, ToolNode
from apps.workflows.nodes.base import InlineHandler, WorkHandler
from apps.workflows.nodes.inline import (
    ApprovalHandler,
    FailHandler,
    MapHandler,
    SetHandler,
    WaitHandler,
    WorkflowHandler,
)
from apps.workflows.nodes.work import AgentHandler, ToolHandler

INLINE: dict[str, InlineHandler] = {
    "set": SetHandler(),
    "fail": FailHandler(),
    "map": MapHandler(),
    "workflow": WorkflowHandler(),
    "approval": ApprovalHandler(),
    "wait": WaitHandler(),
}
WORK: dict[str, WorkHandler] = {"agent": AgentHandler(), "tool": ToolHandler()}


def register_work(node_type: str, handler: WorkHandler) -> None:
    """Lets workers execute a node type of a plugin; its spec is registered with `engine.spec.register_node_type`."""
    WORK[node_type] = handler


# What an organization's own agent needs: they are rows, so every worker has them.
OWN_AGENT = "agent:of:organization"


def handler_of(spec: Node, organization_id: UUID | None = None) -> str:
    """What a worker has to have for the node: `set`, `agent:echo@1`, `agent:can:greet`, `tool:http.request@1`.

    There is no major where this process does not have the agent or tool itself: any worker that has it will do.
    A tool that only an organization has is `tool:mcp.*`, as any worker can look it up that knows where.
    """
    if isinstance(spec, AgentNode):
        return _agent_handler(spec, organization_id)
    if isinstance(spec, ToolNode):
        if source := tools.source_of(spec.tool):
            return f"tool:{source.prefix}*"
        return _with_major("tool", spec.tool, tools.find(spec.tool))
    return spec.type


def _agent_handler(spec: AgentNode, organization_id: UUID | None) -> str:
    found = agents.find(spec.agent) if spec.agent else None
    is_here = found is not None or agents.can(spec.capability or "")
    asked = {"name": spec.agent, "capability": spec.capability}
    if not is_here and organization_id is not None and agents.is_own(organization_id, **asked):
        return OWN_AGENT
    return _with_major("agent", spec.agent, found) if spec.agent else f"agent:can:{spec.capability}"


def type_of(handler: str) -> str:
    """The node type of a handler's name."""
    return handler.partition(":")[0]


def served() -> frozenset[str]:
    """The handlers that this process has, of every major that it can go on with.

    The bare types among them are those of node runs from before handlers had names.
    """
    return _served(agents.changes(), tools.changes(), len(WORK))


@lru_cache(maxsize=1)
def _served(*_changes: int) -> frozenset[str]:
    names = {*INLINE, *WORK, OWN_AGENT}
    for agent in agents.all():
        names |= _majors("agent", agent.name, agent.majors)
        names |= {f"agent:can:{capability}" for capability in agent.capabilities}
    for tool in tools.all():
        names |= _majors("tool", tool.name, tool.majors)
    names |= {f"tool:{source.prefix}*" for source in tools.sources()}
    return frozenset(names)


def _majors(kind: str, name: str, majors: Iterable[int]) -> set[str]:
    return {f"{kind}:{name}", *(f"{kind}:{name}@{major}" for major in majors)}


def _with_major(kind: str, name: str, known: AgentType | Tool | None) -> str:
    return f"{kind}:{name}@{known.majors[-1]}" if known else f"{kind}:{name}"
