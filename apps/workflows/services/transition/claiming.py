"""Which of the node runs that became ready the worker goes on with, and which others are told of."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from apps.workflows.engine.states import CLAIMABLE, NodeStatus, RunStatus
from apps.workflows.nodes.registry import INLINE, served
from apps.workflows.store.rows import NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition

Room = Callable[[int], int]  # how many of so many node runs a worker takes


def no_room(wanted: int) -> int:  # noqa: ARG001
    """Takes none."""
    return 0


def claim(transition: "Transition", worker: UUID | None, room: Room) -> None:
    """Gives the worker what it goes on with, and leaves hints for the rest."""
    mine: list[NodeRow] = []
    if worker is not None and transition.run.status in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING):
        here = served()
        mine = [row for row in transition.ready if row.handler in here and row.handler not in INLINE]
        mine = mine[: room(len(mine))]
    for row in mine:
        _hand_over(transition, row, worker)
    transition.consequences.claimed = [row.copy() for row in mine]
    for row in transition.ready:
        if row.status in CLAIMABLE:
            row.hinted_at = transition.run.now
            transition.note(row)
            transition.consequences.hints.append((row.id, row.queue))


def _hand_over(transition: "Transition", row: NodeRow, worker: UUID | None) -> None:
    row.status, row.worker = NodeStatus.RUNNING, worker
    row.fence += 1
    row.attempt += 1
    row.started_at = row.started_at or transition.run.now
    row.deadline_at = _deadline(transition, row)
    transition.run.status = RunStatus.RUNNING
    transition.note(row)
    transition.tell("node.started", row, attempt=row.attempt, worker=str(worker))


def _deadline(transition: "Transition", row: NodeRow) -> datetime | None:
    """The end of the attempt's time, which goes on when the node comes back from an agent outside.

    Where no worker was free before it was over, the answer came in time and only has to be taken.
    """
    if row.deadline_at is not None and row.deadline_at > transition.run.now:
        return row.deadline_at
    return transition.run.now + timedelta(seconds=row.timeout) if row.timeout else None
