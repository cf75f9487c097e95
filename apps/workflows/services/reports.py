"""What an agent outside tells of a node while it works on its task."""

from collections.abc import Callable, Sequence
from uuid import UUID

from apps.agents.services.news import Line
from apps.observability.run_log import RunLog
from apps.workflows.engine.states import NodeStatus
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import progress
from apps.workflows.store.database import look
from apps.workflows.store.rows import NodeRow

AT_WORK = frozenset({NodeStatus.RUNNING, NodeStatus.WAITING})


def log(node_run: UUID, lines: Sequence[Line]) -> None:
    """Writes lines to the log of the run, as of the attempt that the node is in."""
    with look() as tx:
        row = progress.nodes(tx, [node_run]).get(node_run)
    if row is not None:
        written = RunLog(row.organization_id, row.run_id, row.id, row.node, max(row.attempt, 1))
        for line in lines:
            written.add(line.level, line.message, line.fields)
        written.flush()


def show_progress(node_run: UUID, *, fraction: float | None, message: str) -> None:
    """Tells how far a node is that has not ended."""

    def tell(transition: Transition, row: NodeRow) -> None:
        if row.status in AT_WORK:
            transition.tell("node.progress", row, fraction=fraction, message=message)

    _act(node_run, tell)


def tell_lost(node_run: UUID, instance: str) -> None:
    """Tells that the process which had a node's task is gone: the node waits for another one."""

    def tell(transition: Transition, row: NodeRow) -> None:
        if row.status is NodeStatus.WAITING and row.waiting_for == "agent":
            transition.tell("node.waiting", row, waits_for="agent", until=row.available_at, lost=instance)

    _act(node_run, tell)


def _act(node_run: UUID, work: Callable[[Transition, NodeRow], None]) -> None:
    def act(transition: Transition) -> None:
        transition.read([node_run])
        work(transition, transition.rows[node_run])

    with look() as tx:
        run = progress.run_of_node(tx, node_run)
    if run is not None:
        act_on_run(run, act)
