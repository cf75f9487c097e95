"""A run as spans, in the shape of OpenTelemetry."""

import hashlib
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from apps.common.json import JSON
from apps.workflows import selectors
from apps.workflows.models import Attempt, JournalEntry, NodeRun, Run
from apps.workflows.nodes.registry import type_of


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


class TraceView(BaseModel):
    """All spans of a run: run, nodes, attempts, and the calls recorded in them."""

    trace_id: str
    spans: list[SpanView]


def trace_of(run: Run) -> dict[str, JSON]:
    """The spans of a run."""
    trace = run.pk.hex
    root = _span(trace, str(run.pk), None, f"run {run.name}", run.started_at, run.finished_at, run.status)
    root.attributes = {
        "orchestra.run.id": str(run.pk),
        "orchestra.workflow.name": run.name,
        "orchestra.trigger": run.trigger,
    }
    spans = [root]
    nodes = list(selectors.node_runs(run).order_by("created_at", "id"))
    journal = _journal(run)
    for node in nodes:
        spans += _node_spans(trace, root, node, journal.get(node.pk, []))
    return TraceView(trace_id=trace, spans=spans).model_dump(mode="json")


def _node_spans(trace: str, root: SpanView, node: NodeRun, journal: list[JournalEntry]) -> list[SpanView]:
    own = _span(trace, str(node.pk), root.span_id, f"node {node.node}", node.started_at, node.finished_at, node.status)
    own.attributes = {
        "orchestra.node.name": node.node,
        "orchestra.node.type": type_of(node.handler),
        "orchestra.node.visit": node.visit,
    }
    if node.index >= 0:
        own.attributes["orchestra.node.index"] = node.index
    if type_of(node.handler) == "agent":
        own.attributes["gen_ai.operation.name"] = "invoke_agent"
    attempts = [
        _attempt_span(trace, own, attempt, number) for number, attempt in enumerate(node.attempts.all(), start=1)
    ]
    parent = attempts[-1] if attempts else own
    return [own, *attempts, *(_call_span(trace, parent, entry) for entry in journal)]


def _attempt_span(trace: str, node: SpanView, attempt: Attempt, number: int) -> SpanView:
    key = f"{attempt.node_run_id}:{attempt.fence}"
    span = _span(trace, key, node.span_id, f"attempt {number}", attempt.started_at, attempt.ended_at, attempt.outcome)
    span.attributes = {"orchestra.attempt.number": number, "orchestra.worker.id": str(attempt.worker)}
    return span


def _call_span(trace: str, attempt: SpanView, entry: JournalEntry) -> SpanView:
    """A step that an agent recorded; a tool call is named for its tool."""
    kind, _, name = entry.name.partition(":")
    is_tool = kind == "tool" and name
    label = f"execute_tool {name}" if is_tool else f"step {entry.name}"
    span = _span(trace, f"journal:{entry.pk}", attempt.span_id, label, entry.started_at, entry.created_at, "completed")
    span.attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name} if is_tool else {}
    return span


def _journal(run: Run) -> dict[Any, list[JournalEntry]]:
    found: dict[Any, list[JournalEntry]] = {}
    for entry in JournalEntry.objects.filter(node_run__run=run).order_by("position"):
        found.setdefault(entry.node_run_id, []).append(entry)
    return found


def _span(  # noqa: PLR0917 - what a span is made of
    trace: str, key: str, parent: str | None, name: str, start: datetime | None, end: datetime | None, status: str
) -> SpanView:
    outcome = {"completed": "OK", "failed": "ERROR", "timeout": "ERROR", "lost": "ERROR"}.get(status, "UNSET")
    return SpanView(
        trace_id=trace,
        span_id=hashlib.sha256(key.encode()).hexdigest()[:16],
        parent_span_id=parent,
        name=name,
        kind="INTERNAL",
        start_time=start,
        end_time=end,
        status=outcome,
        attributes={},
    )
