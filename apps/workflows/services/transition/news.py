"""News about a node run, and what it comes to."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apps.common.errors import Fatal
from apps.workflows.engine.states import NodeStatus
from apps.workflows.nodes.base import ChildRequest, Completed, Failed, ItemsRequest, NodeError, Outcome, Waiting
from apps.workflows.services.transition import again, degrading, maps, node_end, people
from apps.workflows.services.transition.visit_end import end_visit
from apps.workflows.store.rows import EndedAttempt, NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition


def hear(transition: "Transition", row: NodeRow, outcome: Outcome) -> None:
    """Works in what became of a node run: it waits, is tried again, or has node_end."""
    if isinstance(outcome, Waiting):
        _wait(transition, row, outcome)
    elif isinstance(outcome, Failed):
        _fail(transition, row, outcome.error)
    else:
        _end(transition, row, outcome)


def _fail(transition: "Transition", row: NodeRow, error: NodeError) -> None:
    """It is tried again, goes on with another step of its `degrade`, or has failed."""
    stage = degrading.next_stage(transition, row, error)
    delay = None if degrading.is_final(row, error, stage) else again.retry_delay(transition, row, error)
    if delay is not None:
        node_end.let_go(transition, row)
        again.retry(transition, row, error, delay)
    elif stage is not None:
        node_end.let_go(transition, row)
        degrading.go_on(transition, row, error, stage)
    else:
        _end(transition, row, Failed(degrading.exhausted(row, error)))


def _end(transition: "Transition", row: NodeRow, outcome: Completed | Failed) -> None:
    if row.is_item:
        maps.end_item(transition, row, outcome)
    else:
        end_visit(transition, row, outcome)


def _wait(transition: "Transition", row: NodeRow, outcome: Waiting) -> None:
    if row.status is NodeStatus.RUNNING:
        transition.attempts.append(EndedAttempt.of(row, "waiting"))
    row.status, row.waiting_for = NodeStatus.WAITING, outcome.waits_for
    if outcome.waits_for == "agent":  # the time of the attempt goes on, with or without a worker
        row.available_at = row.deadline_at
    else:
        row.available_at, row.deadline_at = _due(transition, outcome), None
    row.state |= outcome.state
    row.started_at = row.started_at or transition.run.now
    transition.note(row)
    transition.tell("node.waiting", row, waits_for=outcome.waits_for, until=row.available_at)
    if isinstance(outcome.request, ItemsRequest):
        maps.make_items(transition, row, outcome.request.items)
    elif isinstance(outcome.request, ChildRequest):
        _make_child(transition, row, outcome.request)
    elif outcome.request is not None:
        people.ask(transition, row, outcome.request)


def _due(transition: "Transition", outcome: Waiting) -> datetime | None:
    if outcome.due_in is None:
        return outcome.due_at
    return transition.run.now + timedelta(seconds=outcome.due_in)


def _make_child(transition: "Transition", row: NodeRow, request: ChildRequest) -> None:
    if transition.run.nesting + 1 > transition.limits.nesting:
        message = f"Runs are nested {transition.limits.nesting} deep, the limit."
        transition.bring(row, Failed(NodeError("limit_nesting", message)))
        return
    try:
        row.state["child"] = str(transition.start_child(transition, row, request))
    except Fatal as error:
        transition.bring(row, Failed(NodeError(error.code, str(error))))
