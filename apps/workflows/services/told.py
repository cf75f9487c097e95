"""What is told of a node: gathered while it runs, then written into the run's history."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.common.json import JSON
from apps.workflows.nodes.base import Deferred
from apps.workflows.services.raised import error_of


@dataclass(frozen=True, slots=True)
class Told:
    """A call that has ended, with none of what was said in it, or a report of progress."""

    type: str  # of the event
    facts: Mapping[str, Any]
    began: float | None = None  # by the clock of this process

    def facts_at(self, now: datetime) -> dict[str, Any]:
        """Give its facts, with the time at which it began; `now` is the database's."""
        if self.began is None:
            return dict(self.facts)
        started = now - timedelta(seconds=time.monotonic() - self.began)
        return {**self.facts, "started_at": started.isoformat()}


def told_of_model(record: JSON) -> Told:
    """Tell of a model's answer, by its record."""
    taken = {name: record["usage"][name] for name in ("input_tokens", "output_tokens", "cost_micro_usd")}
    return Told("llm.called", {"model": record["model"], "seconds": record["seconds"], **taken})


@contextmanager
def telling_of_tool(told: list[Told], **facts: Any) -> Iterator[None]:
    """Tell how the call of a tool went that a model has asked for; one that is put off has not been made."""
    began = time.monotonic()

    def tell(outcome: str, error: str | None = None) -> None:
        seconds = round(time.monotonic() - began, 3)
        told.append(Told("tool.called", {**facts, "outcome": outcome, "error": error, "seconds": seconds}, began))

    try:
        yield
    except Deferred:
        raise
    except BaseException as error:
        tell("failed", error_of(error).code if isinstance(error, Exception) else "cancelled")
        raise
    tell("answered")
