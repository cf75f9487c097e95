"""What went wrong, as the error of a node."""

from apps.common.errors import Fatal
from apps.common.json import NotJson
from apps.workflows.engine.errors import ExpressionError, LoopLimitError
from apps.workflows.engine.routing import UnknownRouteError
from apps.workflows.nodes.base import NodeError

_CODES: dict[type[Exception], str] = {
    UnknownRouteError: "unknown_route",
    LoopLimitError: "loop_limit",
    NotJson: "invalid_output",
}


def error_of(error: Exception) -> NodeError:
    """The node's error for a mistake in its expressions, routes or values; trying again would not help."""
    if isinstance(error, ExpressionError):
        return NodeError(error.code, f"{error.message} {error.fix or ''}".rstrip())
    if isinstance(error, Fatal):
        return NodeError(error.code, str(error))
    return NodeError(_CODES.get(type(error), "error"), str(error))
