"""Workflows and runs in the shapes of the APIs that Orchestra grew from."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from apps.common.json import JSON
from apps.observability.models import LogLine
from apps.workflows import selectors
from apps.workflows.models import NodeRun, Run, RunEvent, WorkflowVersion
from apps.workflows.serializers.history import place, sentence
from apps.workflows.serializers.runs import context_of
from apps.workflows.store.values import read_values

MOST_LINES = 1_000  # of a log

# A task of those APIs is pending until somebody works on it.
_TASK_STATUSES = {"queued": "pending", "retrying": "running"}


def graph_view(run: Run) -> dict[str, JSON]:
    """A run as `/run-graph` answers: its tasks, and its id under the name of a workflow's."""
    return {
        "workflow_id": str(run.pk),
        "workflow_type": _workflow_type(run.version),
        "status": run.status,
        "created_at": _time(run.created_at),
        "tasks": _tasks_of(run),
        "metadata": run.version.document.get("metadata", {}),
    }


def graph_status(run: Run) -> dict[str, JSON]:
    """A run as `/status/{id}` shows it: a task for each node, with its result."""
    return graph_view(run) | {
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "error": run.error,
    }


def listed_graph(run: Run) -> dict[str, JSON]:
    """A run in a list."""
    view = {"workflow_id": str(run.pk), "workflow_type": _workflow_type(run.version), "name": run.name}
    return {
        **view,
        "status": run.status,
        "created_at": _time(run.created_at),
        "finished_at": _time(run.finished_at),
    }


def started_execution(run: Run) -> dict[str, JSON]:
    """A run as the answer to `/workflows/{id}/execute`."""
    return {
        "id": str(run.pk),
        "execution_id": str(run.pk),
        "workflow_id": str(run.workflow_id),
        "status": run.status,
        "created_at": _time(run.created_at),
        "status_url": f"/executions/{run.pk}/status",
        "logs_url": f"/executions/{run.pk}/logs",
    }


def execution_status(run: Run) -> dict[str, JSON]:
    """A run as `/executions/{id}/status` shows it."""
    given, output = read_values(run.organization_id, [run.input, run.output])
    return {
        "execution_id": str(run.pk),
        "workflow_id": str(run.workflow_id) if run.workflow_id else None,
        "workflow_name": run.name,
        "status": run.status,
        "input_data": given,
        "context": context_of(run),
        "steps": [_step(task) for task in _tasks_of(run)],
        "result": output,
        "error": run.error,
        "created_at": _time(run.created_at),
        "started_at": _time(run.started_at),
        "completed_at": _time(run.finished_at),
    }


def execution_logs(run: Run) -> dict[str, JSON]:
    """What happened in a run and what its nodes logged, in the order of time, as `/executions/{id}/logs` shows it."""
    lines = [*_happened(selectors.events(run)[:MOST_LINES]), *_logged(selectors.log_lines(run)[:MOST_LINES])]
    lines.sort(key=lambda line: line["timestamp"])
    return {"execution_id": str(run.pk), "logs": lines[:MOST_LINES]}


def _workflow_type(version: WorkflowVersion) -> str:
    if version.dialect == "tasks" and version.source_format == "json":
        return str(orjson.loads(version.source).get("workflow_type", "graph"))
    return "graph"


def _tasks_of(run: Run) -> list[dict[str, Any]]:
    """A task for each node, in written order, as its latest visit stands."""
    latest = _latest_visits(run)
    outputs = read_values(run.organization_id, [visit.output for visit in latest.values()])
    results = dict(zip(latest, outputs, strict=True))
    nodes: dict[str, dict[str, Any]] = run.version.document["nodes"]
    return [_task(run, name, node, latest.get(name), results.get(name)) for name, node in nodes.items()]


def _latest_visits(run: Run) -> dict[str, NodeRun]:
    visits = NodeRun.objects.filter(run=run, index=-1).order_by("node", "-visit").distinct("node")
    return {visit.node: visit for visit in visits.defer("input", "state")}


def _task(run: Run, name: str, node: dict[str, Any], visit: NodeRun | None, result: JSON) -> dict[str, Any]:
    written = str(node.get("title") or name)  # an id that could not be a node's is its title
    not_started = "skipped" if run.finished_at else "pending"
    return {
        "task_id": written,
        "agent_id": written,
        "agent_role": node.get("agent") or node.get("capability") or node["type"],
        "status": _TASK_STATUSES.get(visit.status, visit.status) if visit else not_started,
        "result": result,
        "error": visit.error if visit else None,
        "started_at": _time(visit.started_at) if visit else None,
        "finished_at": _time(visit.finished_at) if visit else None,
    }


def _step(task: dict[str, Any]) -> dict[str, Any]:
    names = ("status", "result", "error", "started_at")
    step = {"name": task["task_id"], "agent_type": task["agent_role"], **{name: task[name] for name in names}}
    return step | {"completed_at": task["finished_at"]}


def _happened(events: Iterable[RunEvent]) -> Iterable[dict[str, Any]]:
    for event in events:
        if (said := sentence(event)) is not None:
            yield _line(event.created_at, "warning" if _is_bad(event) else "info", place(event), said, event.type)


def _is_bad(event: RunEvent) -> bool:
    failed = event.type == "node.retrying" and event.data.get("reason") != "deferred"
    return failed or event.type == "node.degraded" or event.type.endswith(".failed")


def _logged(lines: Iterable[LogLine]) -> Iterable[dict[str, Any]]:
    for line in lines:
        yield _line(line.created_at, line.level, line.node, line.message, "log") | {"fields": line.fields}


def _line(at: datetime, level: str, step: str, message: str, event: str) -> dict[str, Any]:
    return {"timestamp": _time(at), "level": level, "step": step or None, "message": message, "event": event}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
