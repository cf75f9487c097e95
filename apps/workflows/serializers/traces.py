"""A run as spans, in the shape of OpenTelemetry."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from apps.common.json import JSON
from apps.integrations.language_models.records import STEP
from apps.observability.models import Usage
from apps.observability.selectors import usage
from apps.workflows import selectors
from apps.workflows.models import Attempt, JournalEntry, NodeRun, Run
from apps.workflows.nodes.registry import type_of
from apps.workflows.serializers.degraded import Degraded, degraded_of


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
    """All spans of a run: run, nodes, attempts, and their calls of models, calls of tools and steps."""

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
    journal, questions = _journal(run), _questions(run)
    if questions:
        root.attributes |= _tokens(usage.of_run(run.pk))
    for node in nodes:
        spans += _node_spans(trace, root, node, journal[node.pk], questions[node.pk])
    return TraceView(trace_id=trace, spans=spans).model_dump(mode="json")


def _node_spans(
    trace: str, root: SpanView, node: NodeRun, journal: Sequence[JournalEntry], questions: Sequence[Usage]
) -> list[SpanView]:
    own = _span(trace, str(node.pk), root.span_id, f"node {node.node}", node.started_at, node.finished_at, node.status)
    own.attributes = {
        "orchestra.node.name": node.node,
        "orchestra.node.type": type_of(node.handler),
        "orchestra.node.visit": node.visit,
    }
    if node.index >= 0:
        own.attributes["orchestra.node.index"] = node.index
    if (degraded := degraded_of(node)) is not None:
        own.attributes |= _degraded(degraded)
    if type_of(node.handler) == "agent":
        own.attributes["gen_ai.operation.name"] = "invoke_agent"
    attempts = [
        _attempt_span(trace, own, attempt, number) for number, attempt in enumerate(node.attempts.all(), start=1)
    ]
    parent = attempts[-1] if attempts else own
    by_number = {attempt.attributes["orchestra.attempt.number"]: attempt for attempt in attempts}
    asked = [_model_span(trace, by_number.get(question.attempt, parent), question) for question in questions]
    # What the journal has of a model is the same call; it stands for it where nothing was counted.
    steps = [entry for entry in journal if not (questions and entry.name.startswith(STEP))]
    return [own, *attempts, *asked, *(_call_span(trace, parent, entry) for entry in steps)]


def _degraded(degraded: Degraded) -> dict[str, str]:
    """What says that an answer is no good one: the step that gave it, who that was, and why it came to that."""
    by = {f"orchestra.degraded.by.{kind}": name for kind, name in (degraded.by or {}).items()}
    return {"orchestra.degraded.step": degraded.step, "orchestra.degraded.reason": degraded.passed[0].code, **by}


def _attempt_span(trace: str, node: SpanView, attempt: Attempt, number: int) -> SpanView:
    key = f"{attempt.node_run_id}:{attempt.fence}"
    span = _span(trace, key, node.span_id, f"attempt {number}", attempt.started_at, attempt.ended_at, attempt.outcome)
    span.attributes = {"orchestra.attempt.number": number, "orchestra.worker.id": str(attempt.worker)}
    return span


def _model_span(trace: str, attempt: SpanView, call: Usage) -> SpanView:
    """A question to a model, with the attributes that OpenTelemetry has for it, and none of what was said.

    https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
    """
    began, took = call.created_at, call.total_ms
    ended = None if took is None else began + timedelta(milliseconds=took)
    status = "completed" if call.outcome in {Usage.Outcome.ANSWERED, Usage.Outcome.CACHED} else call.outcome
    span = _span(trace, f"usage:{call.pk}", attempt.span_id, f"chat {call.model}", began, ended, status)
    span.kind = "CLIENT"
    provider, _, served = call.served_by.partition("/")
    known = {
        "gen_ai.provider.name": provider,
        "gen_ai.response.model": served,
        "error.type": call.error,
        "orchestra.first_token_ms": call.first_token_ms,
    }
    span.attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": call.model,
        "orchestra.model.outcome": call.outcome,
        **_tokens(call),
        **{name: value for name, value in known.items() if value not in {None, ""}},
    }
    if not call.is_priced:
        del span.attributes["orchestra.cost.micro_usd"]
    return span


def _tokens(counted: Usage | usage.Sums) -> dict[str, int]:
    """What calls took: tokens, and money in millionths of a dollar."""
    return {
        "gen_ai.usage.input_tokens": counted.input_tokens,
        "gen_ai.usage.cache_read.input_tokens": counted.cached_tokens,
        "gen_ai.usage.output_tokens": counted.output_tokens,
        "gen_ai.usage.reasoning.output_tokens": counted.reasoning_tokens,
        "orchestra.cost.micro_usd": counted.cost_micro_usd,
    }


def _call_span(trace: str, attempt: SpanView, entry: JournalEntry) -> SpanView:
    """A step that an agent recorded; a tool call is named for its tool."""
    kind, _, name = entry.name.partition(":")
    is_tool = kind == "tool" and name
    label = f"execute_tool {name}" if is_tool else f"step {entry.name}"
    span = _span(trace, f"journal:{entry.pk}", attempt.span_id, label, entry.started_at, entry.created_at, "completed")
    span.attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name} if is_tool else {}
    return span


def _journal(run: Run) -> Mapping[UUID, list[JournalEntry]]:
    found: dict[UUID, list[JournalEntry]] = defaultdict(list)
    for entry in JournalEntry.objects.filter(node_run__run=run).order_by("position"):
        found[entry.node_run_id].append(entry)
    return found


def _questions(run: Run) -> Mapping[UUID | None, list[Usage]]:
    """The calls of models, by node run."""
    found: dict[UUID | None, list[Usage]] = defaultdict(list)
    for call in usage.calls(run=run.pk).order_by("created_at", "id"):
        found[call.node_run_id].append(call)
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
