"""What a span is, in the shape of OpenTelemetry."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

_STATUSES = {
    **dict.fromkeys(("completed", "answered", "cached"), "OK"),
    **dict.fromkeys(("failed", "timeout", "lost"), "ERROR"),
}


class SpanView(BaseModel):
    """One span; ids are those of W3C Trace Context."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    start_time: datetime | None
    end_time: datetime | None
    status: str
    attributes: dict[str, Any]


def new_span(
    key: str,
    name: str,
    *,
    trace: str,
    parent: str | None,
    times: tuple[datetime | None, datetime | None],
    status: str,
    attributes: Mapping[str, Any],
    kind: str = "INTERNAL",
) -> SpanView:
    """Give a span. Its id is made of `key`, `status` is how it ended, and attributes that are None are left away."""
    started, ended = times
    return SpanView(
        trace_id=trace,
        span_id=hashlib.sha256(key.encode()).hexdigest()[:16],
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_time=started,
        end_time=ended,
        status=_STATUSES.get(status, "UNSET"),
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


def code_of(error: Any) -> str | None:
    """Give the class of an error as it is kept with a run, a node or an attempt."""
    return str(error["code"]) if isinstance(error, Mapping) and error.get("code") else None
