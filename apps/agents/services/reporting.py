"""What agents outside tell while they work: shown in the run as a local agent's progress and log are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.agents.models import AgentInstance, AgentTask
from apps.agents.services import news, remote_tasks
from apps.agents.services.news import Line
from apps.observability.run_log import MOST_LINES


@dataclass(frozen=True)
class Report:
    """How far a task is, and lines for the log of its run."""

    progress: dict[str, Any] | None
    lines: Sequence[Line]
    first: int | None = None  # the number of the first line, from 0 on for each claim; None: they follow the last ones


def take(task: AgentTask, instance: AgentInstance, *, fence: int, report: Report) -> AgentTask:
    """Show a report; lines that have come already are kept once. Raises Conflict when the claim is not the latest."""
    held = _keep_lines(task, instance, fence, report)
    if report.progress is not None and held.node_run_id is not None:
        news.show_progress(held.node_run_id, **report.progress)
    return held


@transaction.atomic
def _keep_lines(task: AgentTask, instance: AgentInstance, fence: int, report: Report) -> AgentTask:
    claims = AgentTask.objects.select_for_update(no_key=True).filter(state=AgentTask.State.CLAIMED, instance=instance)
    held = claims.filter(pk=task.pk, fence=fence).first()
    if held is None:
        task.refresh_from_db()
        raise remote_tasks.refused(task, fence)
    first = held.lines if report.first is None else report.first
    new = report.lines[max(0, held.lines - first) :]
    if new:
        AgentTask.objects.filter(pk=held.pk).update(lines=first + len(report.lines))
        _write(held.node_run_id, new[: max(0, MOST_LINES - held.lines)], is_full=held.lines + len(new) > MOST_LINES)
    return held


def _write(node_run: UUID | None, lines: Sequence[Line], *, is_full: bool) -> None:
    if node_run is None or not lines:
        return
    end = Line("warning", f"The log ends here: one attempt keeps {MOST_LINES:,} lines.", {})
    news.log(node_run, [*lines, end] if is_full else lines)
