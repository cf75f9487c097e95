"""Tasks as the API shows them: a goal, the plan that was made for it, and how its run stands."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel

from apps.common.json import JSON
from apps.workflows import selectors
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.models import Run
from apps.workflows.store.values import read_value


class ProgressView(BaseModel):
    """How many nodes have ended, of how many."""

    done: int
    total: int


class TaskStatus(BaseModel):
    """Where a task stands."""

    id: UUID
    status: str
    progress: ProgressView
    error: Any
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TaskView(TaskStatus):
    """A task: `goal` as it was sent, `plan` as it is run, and the output once there is one."""

    goal: dict[str, Any]
    plan: dict[str, Any]
    output: Any
    url: str
    run_url: str
    events_url: str


def task_status(run: Run) -> dict[str, JSON]:
    """Where a task stands."""
    return TaskStatus(**_status(run)).model_dump(mode="json")


def task_view(run: Run) -> dict[str, JSON]:
    """A task with its goal, plan and output."""
    view = TaskView(
        **_status(run),
        goal=orjson.loads(run.version.source) if run.version.dialect == "goal" else {},
        plan=run.version.document,
        output=read_value(run.organization_id, run.output) if run.status in RUN_ENDED else None,
        url=f"/v1/tasks/{run.pk}",
        run_url=f"/v1/runs/{run.pk}",
        events_url=f"/v1/runs/{run.pk}/events",
    )
    return view.model_dump(mode="json")


def _status(run: Run) -> dict[str, Any]:
    done, total = selectors.progress(run)
    names = ("status", "error", "created_at", "started_at", "finished_at")
    fields = {name: getattr(run, name) for name in names}
    return {"id": run.pk, "progress": ProgressView(done=done, total=total), **fields}
