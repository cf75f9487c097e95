"""Which handler serves which node type."""

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


def names() -> list[str]:
    """Every node type that this process can serve."""
    return [*INLINE, *WORK]
