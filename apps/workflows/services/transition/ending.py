"""How a run ends, and when it only waits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from apps.common.errors import Fatal
from apps.common.json import JSON, NotJson
from apps.workflows.engine.errors import ExpressionError
from apps.workflows.engine.states import CLAIMABLE, NODE_ENDED, RUN_ENDED, NodeStatus, RunStatus
from apps.workflows.nodes.base import NodeError
from apps.workflows.services.transition.failures import error_of
from apps.workflows.store import progress
from apps.workflows.store.rows import HELD, EventRow, NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition

_UNDER_WAY = frozenset({RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING})


def fail_run(transition: "Transition", error: NodeError, row: NodeRow | None = None) -> None:
    """Ends the run as failed, with everything in flight cancelled; one that has ended stays as it is.

    The marking stays too, for a retry.
    """
    if transition.run.status in RUN_ENDED:
        return
    where = {"node": row.node, "visit": row.visit, "node_run": str(row.id)} if row else {}
    transition.run.error = error.as_json() | where
    _stop(transition, RunStatus.FAILED)
    transition.tell("run.failed", error=transition.run.error)


def cancel_run(transition: "Transition", by: str) -> None:
    """Ends the run as cancelled, with everything in flight; one that has ended stays as it is."""
    if transition.run.status in RUN_ENDED:
        return
    _stop(transition, RunStatus.CANCELLED)
    transition.tell("run.cancelled", by=by)


def finish_if_over(transition: "Transition") -> None:
    """Completes the run when nothing is active and no token remains."""
    if transition.run.status in RUN_ENDED or not transition.marking.is_over:
        return
    try:
        transition.run.output = transition.packer.pack(_output(transition))
    except (ExpressionError, Fatal, NotJson) as error:
        fail_run(transition, error_of(error))
        return
    transition.run.status = RunStatus.COMPLETED
    for name in _skipped(transition):
        transition.tell("node.skipped", node=name)
    transition.tell("run.completed")
    _report(transition)


def settle_status(transition: "Transition") -> None:
    """A run waits when all that is active are waits and approvals; else it runs."""
    if transition.run.status not in _UNDER_WAY:
        return
    working = _is_working(transition)
    if working and transition.run.status is RunStatus.WAITING:
        transition.run.status = RunStatus.RUNNING
    elif not working:
        transition.run.status = RunStatus.WAITING


def _is_working(transition: "Transition") -> bool:
    known = transition.rows.values()
    return any(map(_works, known)) or progress.still_working(
        transition.tx, transition.run.id, [row.id for row in known]
    )


def _works(row: NodeRow) -> bool:
    """Whether it is more than a wait; an item whose turn has not come waits with those before it."""
    if row.status in CLAIMABLE:
        return row.available_at != HELD
    return row.status is NodeStatus.RUNNING or row.waiting_for in ("child", "agent")


def _stop(transition: "Transition", status: RunStatus) -> None:
    transition.run.status = status
    transition.news.clear()
    transition.ready.clear()
    for row in [row for row in transition.rows.values() if row.status not in NODE_ENDED]:
        transition.cancel(row)
        if not row.is_item:
            transition.tell("node.cancelled", row)
    for cancelled in progress.cancel_nodes(transition.tx, transition.run.id, list(transition.rows)):
        if cancelled["index"] < 0:
            transition.events.append(EventRow("node.cancelled", _stub(transition, cancelled)))
    _report(transition)


def _stub(transition: "Transition", cancelled: Mapping[str, Any]) -> NodeRow:
    """A node run as far as an event names it."""
    return NodeRow(
        id=cancelled["id"],
        run_id=transition.run.id,
        organization_id=transition.run.organization_id,
        node=cancelled["node"],
        visit=cancelled["visit"],
        index=cancelled["index"],
        depth=0,
        handler="",
        status=NodeStatus.CANCELLED,
    )


def _output(transition: "Transition") -> JSON:
    """What `outputs` says, or else the outputs of the end nodes that completed, by node id."""
    names = transition.scope.names(transition.compiled.output_needs)
    if transition.compiled.outputs is not None:
        return transition.compiled.outputs.render(names)
    ends = names["nodes"].items()
    return {name: node["output"] for name, node in ends if node["status"] == NodeStatus.COMPLETED}


def _skipped(transition: "Transition") -> list[str]:
    started = progress.visited(transition.tx, transition.run.id) | {row.node for row in transition.made.values()}
    return [name for name in transition.compiled.graph.nodes if name not in started]


def _report(transition: "Transition") -> None:
    """Whom the end of the run concerns: the node that waits for it, and its own child runs."""
    transition.consequences.ended = True
    transition.consequences.ended_child_of = transition.run.parent_node_id
    transition.consequences.orphaned = transition.run.status is not RunStatus.COMPLETED
