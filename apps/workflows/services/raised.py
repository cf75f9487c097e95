"""What a node's code raised, as the error of its attempt. The code is anybody's, so nothing about it is believed."""

import math
from typing import Any

from apps.common.errors import DomainError, Fatal, NotNow, Retryable
from apps.workflows.nodes.base import NodeError

MOST_CHARACTERS = 4_000  # of a message
LONGEST_REST = 7 * 86_400.0  # seconds; whoever asks for more is tried again then
EXPECTED = (Retryable, Fatal, DomainError)  # what code raises on purpose
_PASSING = frozenset({429, 503})  # statuses of errors that another try may not meet


def error_of(error: BaseException) -> NodeError:
    """The error, and whether another attempt may help: what is neither Fatal nor known to last is tried again."""
    if isinstance(error, Retryable):
        wait, deferred = _seconds(error.retry_after), isinstance(error, NotNow)
        return NodeError(_text(error.code), _text(error), retryable=True, retry_after=wait, deferred=deferred)
    if isinstance(error, Fatal):
        return NodeError(_text(error.code), _text(error))
    if isinstance(error, DomainError):
        passing = error.status in _PASSING
        return NodeError(error.code, _text(error.detail), retryable=passing, retry_after=_seconds(error.retry_after))
    return NodeError("error", f"{type(error).__name__}: {_text(error)}", retryable=True)


def internal_error(error: BaseException) -> NodeError:
    """The error of a node whose result Orchestra could not work in: our fault, not the node's."""
    what = f"{type(error).__name__}: {_text(error)}"
    return NodeError("internal_error", f"Orchestra could not work in the result of this node. {what}")


def _text(value: object) -> str:
    try:
        return str(value)[:MOST_CHARACTERS]
    except Exception:  # noqa: BLE001 - an exception's own __str__ may fail
        return "(It has no readable message.)"


def _seconds(asked: Any) -> float | None:
    if isinstance(asked, bool) or not isinstance(asked, int | float) or math.isnan(asked):
        return None
    return max(0.0, min(float(asked), LONGEST_REST))
