"""What an agent outside tells of its work, on its way from its process to the run that people watch."""

import json
import math
import threading
from typing import Any

import structlog

from apps.agents.context import LocalContext
from apps.common.json import dumps

MOST_KEPT = 5_000  # lines of one task, as a run keeps of an attempt
MOST_TOLD = 100  # lines at once
MOST_CHARACTERS = 8_192  # of a line
MOST_LETTERS = 500  # of what is said about the progress

Report = dict[str, Any]


def progress_report(fraction: float | None, message: str) -> Report:
    """Give a report as it is shown: a fraction from 0 to 1, or None where it is unknown, and a short message."""
    is_known = fraction is not None and math.isfinite(fraction)
    shown = min(max(float(fraction or 0), 0.0), 1.0) if is_known else None
    told: Report = json.loads(dumps({"fraction": shown, "message": str(message)[:MOST_LETTERS]}))
    return told


class ServedContext(LocalContext):
    """The context of a task from Orchestra: progress and log lines are gathered, and told now and then.

    Lines are numbered, so that those whose arrival nobody has heard of are told again and kept once. Between two
    tellings only the latest report of progress counts.
    """

    def __init__(self, **task: Any) -> None:
        super().__init__(**task)
        self.log = self
        self._console = structlog.get_logger("orchestra.agents")
        self._lines: list[Report] = []
        self._arrived = 0
        self._report: Report | None = None
        self._lock = threading.Lock()

    def progress(self, fraction: float | None, message: str = "") -> None:
        """See Context.progress."""
        with self._lock:
            self._report = progress_report(fraction, message)

    def debug(self, event: str, **fields: Any) -> None:
        """See Log."""
        self._add("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """See Log."""
        self._add("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """See Log."""
        self._add("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """See Log."""
        self._add("error", event, fields)

    def untold(self) -> Report | None:
        """Give what is to be told now; None when that is nothing."""
        with self._lock:
            lines = self._lines[:MOST_TOLD]
            if not lines and self._report is None:
                return None
            progress = {} if self._report is None else {"progress": self._report}
            return {"first": self._arrived, "lines": lines, **progress}

    def told(self, report: Report) -> None:
        """Note that a report has arrived."""
        with self._lock:
            self._lines = self._lines[len(report["lines"]) :]
            self._arrived += len(report["lines"])
            if self._report is report.get("progress"):
                self._report = None

    def _add(self, level: str, event: str, fields: dict[str, Any]) -> None:
        getattr(self._console, level)(event, **fields)
        with self._lock:
            if self._arrived + len(self._lines) <= MOST_KEPT:
                self._lines.append({"level": level, **_written(str(event)[:MOST_CHARACTERS], fields)})


def _written(message: str, fields: dict[str, Any]) -> Report:
    """Give a line as JSON that can be sent and stored, whatever it holds."""
    try:
        return dict(json.loads(dumps({"message": message, "fields": fields})))
    except (TypeError, ValueError):
        return dict(
            json.loads(dumps({"message": message, "fields": {str(name): repr(fields[name]) for name in fields}}))
        )
