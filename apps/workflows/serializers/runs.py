"""Runs as the API and the commands show them."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from apps.common.json import JSON
from apps.common.money import amounts, decimal_of
from apps.observability.models import LogLine
from apps.observability.selectors import usage
from apps.observability.selectors.usage import Sums
from apps.workflows import selectors
from apps.workflows.engine.states import CLAIMABLE, RUN_ENDED, RunStatus
from apps.workflows.models import Approval, NodeRun, Run, RunEvent, Worker
from apps.workflows.nodes.registry import type_of
from apps.workflows.serializers.degraded import Degraded, DegradedNode, degraded_nodes, degraded_of
from apps.workflows.services.approvals import offered
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.context_keys import Write, folded
from apps.workflows.store.values import read_values

MOST_NODES = 1_000  # in the view of a run; more are paged


class AttemptView(BaseModel):
    """One try of a node."""

    no: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    error: Any = None


class NodeRunView(BaseModel):
    """One visit of a node, or one item of a map."""

    id: UUID | None
    node: str
    type: str
    visit: int
    index: int | None
    status: str
    waiting_for: str | None
    missing_handler: str | None
    attempt: int
    lost_count: int
    created_at: datetime | None
    available_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    input: Any
    output: Any
    error: Any
    worker: str | None
    child_run: str | None
    degraded: Degraded | None
    attempts: list[AttemptView]


class RunView(BaseModel):
    """A run in a list; of `unpriced_calls` nobody knows the price, and they are missing in its cost."""

    id: UUID
    workflow: str
    workflow_id: UUID | None
    version: int | None
    status: str
    trigger: str
    priority: int
    labels: dict[str, str]
    error: Any
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    cost_usd: float
    cost_micro_usd: int
    unpriced_calls: int
    tokens: int
    parent: UUID | None
    forked_from: UUID | None
    schedule: UUID | None
    scheduled_for: datetime | None
    url: str
    events_url: str


class RunUsage(BaseModel):
    """What the run's calls of language models came to; those of runs that it started are theirs."""

    calls: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    cost_usd: str
    cost_micro_usd: int


class RunDetail(RunView):
    """A run with everything that happened; `nodes` holds at most 1,000, the rest is at `nodes_url`."""

    input: Any
    output: Any
    context: dict[str, Any]
    nodes: list[NodeRunView]
    nodes_url: str
    nodes_truncated: bool
    usage: RunUsage
    degraded: list[DegradedNode]


class StartedRun(BaseModel):
    """A run that was accepted; with `?wait=` and an end in time also its output or error.

    `degraded` then has the nodes whose answers came from a step of their `degrade`.
    """

    id: UUID
    status: str
    url: str
    events_url: str
    output: Any = None
    error: Any = None
    degraded: list[DegradedNode] = []


class EventView(BaseModel):
    """Something that happened in a run."""

    seq: int
    type: str
    node: str | None
    visit: int | None
    index: int | None
    node_run: UUID | None
    at: datetime
    data: dict[str, Any]


class LogLineView(BaseModel):
    """A line of a run's log."""

    id: UUID
    at: datetime
    level: str
    node: str
    attempt: int
    message: str
    fields: dict[str, Any]


class ApprovalView(BaseModel):
    """A question to people."""

    id: UUID
    status: str
    run: UUID
    workflow: str
    node: str
    message: str
    decisions: list[str]
    payload: Any
    form: Any
    assignees: list[str]
    on_timeout: str
    deadline_at: datetime | None
    created_at: datetime
    decided_at: datetime | None
    decided_by: str
    comment: str
    data: Any


def run_view(run: Run) -> dict[str, JSON]:
    """A run in a list."""
    summed = [getattr(run, name) for name in ("usage_cost", "usage_tokens", "usage_unpriced") if hasattr(run, name)]
    spent = _spent(*summed) if summed else _spent_in(usage.of_run(run.pk))  # a run by itself has no sums
    return RunView(**_columns(run), **spent).model_dump(mode="json")


def started_run(run: Run) -> dict[str, JSON]:
    """The answer to starting a run."""
    columns = _columns(run)
    started = StartedRun(**{name: columns[name] for name in ("id", "status", "url", "events_url", "error")})
    if run.status not in RUN_ENDED:
        return started.model_dump(mode="json", exclude={"output", "error", "degraded"})
    (output,) = read_values(run.organization_id, [run.output])
    return started.model_copy(update={"output": output, "degraded": degraded_nodes(run)}).model_dump(mode="json")


def new_run(run: UUID) -> dict[str, JSON]:
    """The same for a run that has just been queued; nothing is read."""
    url = f"/v1/runs/{run}"
    return {"id": str(run), "status": RunStatus.PENDING, "url": url, "events_url": f"{url}/events"}


def run_detail(run: Run, *, fields: Collection[str] = (), every_node: bool = False) -> dict[str, JSON]:
    """A run with everything that happened, or only these fields of it: what nobody asks for is not read.

    `nodes` holds at most MOST_NODES, unless every one is asked for.
    """
    wanted = set(fields or RunDetail.model_fields)
    parts = _columns(run) | {"nodes_url": f"/v1/runs/{run.pk}/nodes"}
    if wanted & {"usage", *_SPENT}:
        sums = usage.of_run(run.pk)
        parts |= _spent_in(sums) | {"usage": _usage_view(sums)}
    if wanted & {"input", "output"}:
        parts["input"], parts["output"] = read_values(run.organization_id, [run.input, run.output])
    if "context" in wanted:
        parts["context"] = context_of(run)
    if "degraded" in wanted:
        parts["degraded"] = degraded_nodes(run)
    if wanted & {"nodes", "nodes_truncated"}:
        parts["nodes"], parts["nodes_truncated"] = _nodes_of(run, every_node)
    return RunDetail.model_construct(**parts).model_dump(mode="json", include=wanted)


def _nodes_of(run: Run, every_node: bool) -> tuple[list[NodeRunView], bool]:
    """The node runs, and whether there are more of them."""
    found = selectors.node_runs(run).order_by("created_at", "id")
    nodes = list(found if every_node else found[: MOST_NODES + 1])
    if not every_node and len(nodes) > MOST_NODES:
        return node_views(run, nodes[:MOST_NODES]), True
    return [*node_views(run, nodes), *_skipped(run)], False


def node_views(run: Run, nodes: Sequence[NodeRun]) -> list[NodeRunView]:
    """Node runs with their values, attempts and workers' names."""
    values = read_values(run.organization_id, [text for node in nodes for text in (node.input, node.output)])
    names, missing = _worker_names(nodes), _missing_handlers(nodes)
    pairs = zip(values[::2], values[1::2], strict=True)
    return [_node_view(node, given, output, names, missing) for node, (given, output) in zip(nodes, pairs, strict=True)]


def event_view(event: RunEvent) -> dict[str, JSON]:
    """An event as the history and the stream show it."""
    view = EventView(
        seq=event.seq,
        type=event.type,
        node=event.node or event.data.get("node"),
        visit=event.visit,
        index=event.index,
        node_run=event.node_run_id,
        at=event.created_at,
        data=event.data,
    )
    return view.model_dump(mode="json")


def log_line_view(line: LogLine) -> dict[str, JSON]:
    """A line of a run's log."""
    view = LogLineView(
        id=line.pk,
        at=line.created_at,
        level=line.level,
        node=line.node,
        attempt=line.attempt,
        message=line.message,
        fields=line.fields,
    )
    return view.model_dump(mode="json")


def approval_view(approval: Approval) -> dict[str, JSON]:
    """A question to people."""
    names = ("status", "message", "payload", "form", "assignees", "on_timeout", "deadline_at", "created_at")
    decision = ("decided_at", "decided_by", "comment", "data")
    view = ApprovalView(
        id=approval.pk,
        run=approval.run_id,
        workflow=approval.run.name,
        node=approval.node_run.node,
        decisions=list(offered(approval)) if approval.status == Approval.Status.OPEN else [],
        **{name: getattr(approval, name) for name in names + decision},
    )
    return view.model_dump(mode="json")


def context_of(run: Run) -> dict[str, JSON]:
    """The value of every context key that has been written or declared."""
    declared = compiled_version(run.version_id).definition.context
    entries = list(selectors.context_entries(run))
    values = read_values(run.organization_id, [entry.value for entry in entries])
    writes: dict[str, list[Write]] = {key: [] for key, part in declared.items() if "initial" in part.model_fields_set}
    for entry, value in zip(entries, values, strict=True):
        writes.setdefault(entry.key, []).append((entry.node, value))
    return {key: folded(declared.get(key), written) for key, written in writes.items()}


def _columns(run: Run) -> dict[str, Any]:
    names = (
        "status",
        "trigger",
        "priority",
        "labels",
        "error",
        "created_by",
        "created_at",
        "started_at",
        "finished_at",
    )
    fire = getattr(run, "fire", None)
    return {
        "id": run.pk,
        "workflow": run.name,
        "workflow_id": run.workflow_id,
        "version": run.version.number if run.workflow_id else None,
        **{name: getattr(run, name) for name in names},
        "duration_ms": milliseconds(run.started_at, run.finished_at),
        "parent": run.parent_id,
        "forked_from": run.forked_from_id,
        "schedule": fire and fire.schedule_id,
        "scheduled_for": fire and fire.scheduled_for,
        "url": f"/v1/runs/{run.pk}",
        "events_url": f"/v1/runs/{run.pk}/events",
    }


_SPENT = ("cost_usd", "cost_micro_usd", "unpriced_calls", "tokens")


def _spent(cost_micro_usd: int, tokens: int, unpriced: int) -> dict[str, Any]:
    return dict(zip(_SPENT, (float(decimal_of(cost_micro_usd)), cost_micro_usd, unpriced, tokens), strict=True))


def _spent_in(sums: Sums) -> dict[str, Any]:
    return _spent(sums.cost_micro_usd, sums.tokens, sums.unpriced)


def _usage_view(sums: Sums) -> RunUsage:
    names = ("calls", "unpriced", "input_tokens", "output_tokens")
    figures = {name: getattr(sums, name) for name in names}
    return RunUsage.model_validate(figures | amounts(cost=sums.cost_micro_usd))


def _node_view(
    node: NodeRun, given: JSON, output: JSON, workers: dict[UUID, str], missing: Collection[str]
) -> NodeRunView:
    names = (
        "id",
        "node",
        "visit",
        "status",
        "attempt",
        "lost_count",
        "created_at",
        "started_at",
        "finished_at",
        "error",
    )
    return NodeRunView(
        **{name: getattr(node, name) for name in names},
        type=type_of(node.handler),
        index=node.index if node.index >= 0 else None,
        waiting_for=node.waiting_for or None,
        missing_handler=node.handler if node.status in CLAIMABLE and node.handler in missing else None,
        available_at=node.available_at if node.status in ("retrying", "waiting") else None,
        duration_ms=milliseconds(node.started_at, node.finished_at),
        input=given,
        output=output,
        worker=workers.get(node.worker) if node.worker else None,
        child_run=node.state.get("child"),
        degraded=degraded_of(node),
        attempts=[
            AttemptView(
                no=number,
                worker=workers.get(attempt.worker, str(attempt.worker)),
                started_at=attempt.started_at,
                ended_at=attempt.ended_at,
                outcome=attempt.outcome or "running",
                error=attempt.error,
            )
            for number, attempt in enumerate(node.attempts.all(), start=1)
        ],
    )


def _skipped(run: Run) -> Iterable[NodeRunView]:
    """The nodes that a run which has ended never started."""
    if run.status not in RUN_ENDED:
        return
    started = set(NodeRun.objects.filter(run=run).values_list("node", flat=True).distinct())
    compiled = compiled_version(run.version_id)
    for node in compiled.nodes:
        if node.name not in started:
            nothing = dict.fromkeys(NodeRunView.model_fields)
            fixed = {"node": node.name, "type": node.spec.type, "visit": 0, "status": "skipped", "attempts": []}
            yield NodeRunView(**nothing | fixed | {"attempt": 0, "lost_count": 0})


def _worker_names(nodes: Sequence[NodeRun]) -> dict[UUID, str]:
    wanted = {node.worker for node in nodes if node.worker}
    wanted |= {attempt.worker for node in nodes for attempt in node.attempts.all()}
    return dict(Worker.objects.filter(pk__in=wanted).values_list("pk", "name"))


def _missing_handlers(nodes: Sequence[NodeRun]) -> set[str]:
    wanted = {node.handler for node in nodes if node.status in CLAIMABLE}
    return selectors.missing_handlers(wanted) if wanted else set()


def milliseconds(start: datetime | None, end: datetime | None) -> int | None:
    """The time between two moments, where both are known."""
    return round((end - start).total_seconds() * 1000) if start and end else None
