"""Calling one tool for a person or a program that waits for it."""

from collections.abc import Callable
from uuid import UUID, uuid4

import structlog

from apps.common.json import JSON
from apps.common.outcomes import Outcome, outcome_of
from apps.integrations.services.invoking import invoke
from apps.integrations.tools import Tool, ToolContext

DEFAULT_SECONDS = 30.0
MOST_SECONDS = 60.0


def call(
    tool: Tool,
    given: JSON,
    *,
    organization_id: UUID,
    timeout: float = DEFAULT_SECONDS,
    key: str | None = None,
    input_at: str = "",
) -> Outcome:
    """Call the tool and give its Outcome; raise Invalid (places under `input_at`) for input that does not fit it."""
    log = structlog.get_logger("orchestra.tools").bind(tool=tool.name, organization_id=str(organization_id))

    def work(cancelled: Callable[[], bool]) -> JSON:
        ctx = ToolContext(
            organization_id=organization_id, idempotency_key=f"call:{key or uuid4()}", log=log, cancelled=cancelled
        )
        return invoke(tool.name, given, ctx, timeout=timeout)

    return outcome_of(work, timeout=timeout + 1, input_at=input_at)  # async tools end by themselves, a little earlier
