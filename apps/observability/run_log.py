"""The log of a run: lines are gathered while a node runs and written in batches."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from django_scopes import scopes_disabled

from apps.common.json import dumps
from apps.observability.models import LogLine

MOST_LINES = 5_000  # of one attempt; what comes after is counted, not kept
MOST_CHARACTERS = 8_192

log = structlog.get_logger("orchestra.runs")


class RunLog:
    """The logger that a node is given: `info`, `warning`, `error`, `debug`, each with a message and fields.

    A line costs no database: whoever looks after the attempt calls `flush` now and then, and at its end.
    """

    def __init__(self, organization: UUID, run: UUID, node_run: UUID, node: str, attempt: int) -> None:
        self._line = {
            "organization_id": organization,
            "run_id": run,
            "node_run_id": node_run,
            "node": node,
            "attempt": attempt,
        }
        self._lines: list[LogLine] = []
        self._count = 0
        self._lock = threading.Lock()

    def debug(self, event: str, **fields: Any) -> None:
        """A line for whoever looks for a fault."""
        self.add("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """A line about what happens."""
        self.add("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """A line about what should not be, but does no harm yet."""
        self.add("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """A line about what went wrong."""
        self.add("error", event, fields)

    def add(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """A line of this level."""
        log.debug(str(message), run_id=str(self._line["run_id"]), node=self._line["node"], level_=level)
        with self._lock:
            self._count += 1
            if self._count > MOST_LINES:
                return
            if self._count == MOST_LINES:
                level, message, fields = "warning", f"The log ends here: one attempt keeps {MOST_LINES:,} lines.", {}
            line = LogLine(
                **self._line, level=level, message=_kept(message), fields=_plain(fields), created_at=datetime.now(UTC)
            )
            self._lines.append(line)

    def flush(self, may_write: Callable[[], bool] = lambda: True) -> None:
        """Writes what has been gathered; drops it where `may_write`, asked when there is something, says no."""
        with self._lock:
            lines, self._lines = self._lines, []
        if lines and may_write():
            with scopes_disabled():
                LogLine.objects.bulk_create(lines)


def _kept(message: str) -> str:
    return str(message).replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()[:MOST_CHARACTERS]


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    try:
        dumps(fields)
    except (TypeError, ValueError):
        return {name: _kept(repr(value)) for name, value in fields.items()}
    return fields
