"""A run as spans, in the shape of OpenTelemetry."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from apps.agents.selectors import Pinned
from apps.common.json import JSON
from apps.observability.selectors import usage
from apps.workflows import selectors
from apps.workflows.engine.spec import AgentNode
from apps.workflows.models import Attempt, JournalEntry, NodeRun, Run
from apps.workflows.nodes.registry import type_of
from apps.workflows.serializers.agent_versions import versions_in
from apps.workflows.serializers.call_spans import Calls, calls_of, spans_of, spent
from apps.workflows.serializers.degraded import Degraded, degraded_of
from apps.workflows.serializers.spans import SpanView, code_of, new_span
from apps.workflows.services.compiled import compiled_version


class TraceView(BaseModel):
    """All spans of a run: run, nodes, attempts, and their calls of models, calls of tools and steps."""

    trace_id: str
    spans: list[SpanView]


def trace_of(run: Run) -> dict[str, JSON]:
    """The spans of a run."""
    root = _run_span(run)
    calls = calls_of(run)
    agents, worked = _agents(run), versions_in(run.organization_id, JournalEntry.objects.filter(node_run__run=run))
    spans = [root]
    for node in selectors.node_runs(run).order_by("created_at", "id"):
        own = _node_span(root, node, agents.get(node.node), _versions(calls[node.pk], worked))
        spans += [own, *_within(own, node, calls[node.pk])]
    return TraceView(trace_id=root.trace_id, spans=spans).model_dump(mode="json")


def _within(own: SpanView, node: NodeRun, calls: Calls) -> list[SpanView]:
    """The attempts of a node run, and what was called in them."""
    attempts = [_attempt_span(own, one, number) for number, one in enumerate(node.attempts.all(), start=1)]

    def parent_at(moment: datetime | None) -> str:
        return _under_way(attempts, moment) or own.span_id

    return [*attempts, *spans_of(calls, own.trace_id, parent_at)]


def _under_way(attempts: Sequence[SpanView], moment: datetime | None) -> str | None:
    """The last attempt that had begun at a time; without one the last of all."""
    begun = [one for one in attempts if moment is None or (one.start_time is not None and one.start_time <= moment)]
    return begun[-1].span_id if begun else next((one.span_id for one in attempts), None)


def _run_span(run: Run) -> SpanView:
    attributes: dict[str, Any] = {
        "orchestra.run.id": str(run.pk),
        "orchestra.workflow.name": run.name,
        "orchestra.trigger": run.trigger,
        "error.type": code_of(run.error),
    }
    sums = usage.of_run(run.pk)
    if sums.calls:
        attributes |= spent(sums, is_priced=not sums.unpriced)
    return new_span(
        str(run.pk),
        f"run {run.name}",
        trace=run.pk.hex,
        parent=None,
        times=(run.started_at, run.finished_at),
        status=run.status,
        attributes=attributes,
    )


def _node_span(root: SpanView, node: NodeRun, agent: str | None, versions: Mapping[str, int]) -> SpanView:
    is_agent = type_of(node.handler) == "agent"
    version = versions.get(agent) if agent else None
    return new_span(
        str(node.pk),
        f"node {node.node}",
        trace=root.trace_id,
        parent=root.span_id,
        times=(node.started_at, node.finished_at),
        status=node.status,
        attributes={
            "orchestra.node.name": node.node,
            "orchestra.node.type": type_of(node.handler),
            "orchestra.node.visit": node.visit,
            "orchestra.node.index": node.index if node.index >= 0 else None,
            "gen_ai.operation.name": "invoke_agent" if is_agent else None,
            "gen_ai.agent.name": agent if is_agent else None,
            "gen_ai.agent.version": str(version) if is_agent and version else None,
            "error.type": code_of(node.error) if node.status != "completed" else None,
            **_degraded(degraded_of(node)),
        },
    )


def _versions(calls: Calls, worked: Mapping[int, Pinned]) -> dict[str, int]:
    """The version of each agent made of a prompt that worked at the node."""
    known = [worked[entry.pk] for entry in calls.recorded if entry.pk in worked]
    return {one.agent: one.version for one in known}


def _degraded(degraded: Degraded | None) -> dict[str, str]:
    """What says that an answer is no good one: the step that gave it, who that was, and why it came to that."""
    if degraded is None:
        return {}
    by = {f"orchestra.degraded.by.{kind}": name for kind, name in (degraded.by or {}).items()}
    return {"orchestra.degraded.step": degraded.step, "orchestra.degraded.reason": degraded.passed[0].code, **by}


def _attempt_span(node: SpanView, attempt: Attempt, number: int) -> SpanView:
    return new_span(
        f"{attempt.node_run_id}:{attempt.fence}",
        f"attempt {number}",
        trace=node.trace_id,
        parent=node.span_id,
        times=(attempt.started_at, attempt.ended_at),
        status=attempt.outcome,
        attributes={
            "orchestra.attempt.number": number,
            "orchestra.attempt.outcome": attempt.outcome or None,
            "orchestra.worker.id": str(attempt.worker),
            "error.type": code_of(attempt.error),
        },
    )


def _agents(run: Run) -> dict[str, str]:
    """The agents that nodes name; a node that asks for a capability names none."""
    nodes = compiled_version(run.version_id).nodes
    specs = {node.name: node.body.spec if node.body else node.spec for node in nodes}
    return {name: spec.agent for name, spec in specs.items() if isinstance(spec, AgentNode) and spec.agent}
