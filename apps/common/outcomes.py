"""How one call of an agent or a tool ended, for the API and the command line."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from apps.common.asyncio_loop import Cancelled
from apps.common.errors import DomainError, ErrorItem, Fatal, Invalid, Retryable, Unavailable
from apps.common.json import JSON
from apps.common.threads import run_bounded
from apps.common.validation import InvalidInput

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a call gave, or why it failed."""

    output: JSON
    error: dict[str, Any] | None
    duration_ms: float

    @property
    def status(self) -> str:
        return "completed" if self.error is None else "failed"

    def as_json(self) -> dict[str, Any]:
        """Give the outcome as it stands in an answer."""
        return {
            "status": self.status,
            "output": self.output,
            "error": self.error,
            "duration_ms": self.duration_ms,
        }


def outcome_of(work: Callable[[Callable[[], bool]], JSON], *, timeout: float, input_at: str) -> Outcome:
    """Give how the work ends within `timeout` seconds; raise Invalid for wrong input, with its place under `input_at`.

    A failure of the work is an outcome and no exception: the request for it was fine.
    """
    started = time.perf_counter()
    output, error = None, None
    try:
        output = run_bounded(work, timeout)
    except InvalidInput as wrong:
        raise invalid_request(wrong, input_at) from None
    except Unavailable:
        raise  # nothing was tried
    except (Exception, Cancelled) as failure:  # noqa: BLE001 - what a plugin raises is what is told
        error = describe_error(failure)
    return Outcome(output, error, round((time.perf_counter() - started) * 1000, 1))


def describe_error(failure: BaseException) -> dict[str, Any]:
    """Give a failure as people and programs see it: code, message and whether trying again may help."""
    if isinstance(failure, Fatal):
        return {"code": failure.code, "message": failure.message, "retryable": False}
    if isinstance(failure, Retryable):
        described = {"code": failure.code, "message": failure.message, "retryable": True}
        return described if failure.retry_after is None else {**described, "retry_after": failure.retry_after}
    if isinstance(failure, DomainError):  # such as a tool that the agent names and nobody has
        return {"code": failure.code, "message": failure.detail, "retryable": False}
    if isinstance(failure, TimeoutError | Cancelled):
        return {"code": "timeout", "message": str(failure), "retryable": True}
    log.warning("A plugin failed in a way it did not foresee.", exc_info=failure)
    return {"code": "exception", "message": f"{type(failure).__name__}: {failure}", "retryable": True}


def invalid_request(wrong: InvalidInput, input_at: str) -> Invalid:
    """Give the 422 for input that does not fit, its places under `input_at`."""
    errors = [ErrorItem(f"{input_at}{item.pointer}", item.code, item.message, item.fix) for item in wrong.errors]
    return Invalid(wrong.message, code=wrong.code, errors=errors)
