"""What keeps runs going when processes die and time passes. Any number of processes may do it; one at a time does.

Each function handles one batch of one kind and gives how many. Every case goes through the run's own
lock and the same transition as all other news, so that doing it twice, or late, changes nothing.
"""

from collections.abc import Callable, Iterable
from uuid import UUID

import structlog

from apps.agents import registry as agents
from apps.common import upkeep
from apps.common.intervals import Interval
from apps.workflows import dispatch
from apps.workflows.engine.states import NodeStatus
from apps.workflows.nodes.base import Completed, Failed, NodeError
from apps.workflows.nodes.registry import INLINE, OWN_AGENT, served
from apps.workflows.services.acting import act_on_run, cancel_orphans, report_to_parent
from apps.workflows.services.firing import fire_schedules
from apps.workflows.services.orphaned_tasks import withdraw_orphans
from apps.workflows.services.transition import again, degrading, ending, people
from apps.workflows.services.transition.transition import Transition
from apps.workflows.services.waking import wake
from apps.workflows.store import recovery, workers
from apps.workflows.store.database import look, transaction
from apps.workflows.store.recovery import Place
from apps.workflows.store.rows import NodeRow

MOST_LOSSES = 5
HINT_AGAIN_SECONDS = 5.0
ADOPT_SECONDS = 2.0

_adopting = Interval(ADOPT_SECONDS, is_over=True)
log = structlog.get_logger(__name__)


def recover(lease: float) -> dict[str, int]:
    """One round of everything; gives how many of each kind were handled."""
    return {
        "workers_lost": bury_workers(lease),
        "nodes_lost": take_back_lost(),
        "nodes_timed_out": end_overdue(),
        "nodes_due": fire_due(),
        "runs_timed_out": end_late_runs(),
        "children_ended": hear_children(),
        "children_orphaned": cancel_orphans(),
        "agents_answered": wake(),
        "agent_tasks_orphaned": withdraw_orphans(),
        "schedules_due": fire_schedules(),
        "agents_arrived": adopt_own_agents(),
        "hints": hint_again(),
    } | upkeep.do_all()


def bury_workers(lease: float) -> int:
    """Notes which workers have died (their lock is free) or frozen (no heartbeat for `lease` seconds)."""
    with transaction() as tx:
        dead = workers.bury(tx, lease)
    for worker in dead:
        log.warning("A worker is gone.", action="worker_lost", worker=worker["name"], reason=worker["stop_reason"])
    return len(dead)


def take_back_lost() -> int:
    """Queues again what dead workers held; a node lost too often fails as poison."""
    return _each(
        recovery.lost, NodeStatus.RUNNING, lambda transition, row: again.lose(transition, row, most=MOST_LOSSES)
    )


def take_back_stray(worker: UUID, places: Iterable[Place]) -> None:
    """Queues again what a living worker holds in the table but does not execute.

    It came to be when a claim's commit landed and its answer was lost, or when a slot broke.
    """

    def act(transition: Transition, row: NodeRow) -> None:
        if row.worker == worker:
            again.lose(transition, row, most=MOST_LOSSES)

    for place in places:
        act_on_run(place.run, _guarded(place.node_run, NodeStatus.RUNNING, act))


def end_overdue() -> int:
    """Ends attempts that are past their time-out: the retry policy decides what follows."""

    def act(transition: Transition, row: NodeRow) -> None:
        transition.bring(row, _timed_out(row))
        transition.work_in()

    return _each(recovery.overdue, NodeStatus.RUNNING, act)


def fire_due() -> int:
    """Goes on with what waited until now."""

    def act(transition: Transition, row: NodeRow) -> None:
        if row.available_at is None or row.available_at > transition.run.now:
            return
        transition.bring(row, _timed_out(row) if row.waiting_for == "agent" else _due(transition, row))
        if row.waiting_for == "approval":
            people.expire(transition.tx, row)
        transition.work_in()

    return _each(recovery.due, NodeStatus.WAITING, act)


def end_late_runs() -> int:
    """Fails runs that are past their time-out."""
    with look() as tx:
        late = recovery.late_runs(tx)
    error = NodeError("timeout", "The run took longer than its workflow allows.")
    for run in late:
        act_on_run(run, lambda transition: ending.fail_run(transition, error))
    return len(late)


def hear_children() -> int:
    """Completes nodes whose child run ended without anybody telling them."""
    with look() as tx:
        waiting = recovery.finished_children(tx)
    for node_run in waiting:
        report_to_parent(node_run)
    return len(waiting)


def hint_again() -> int:
    """Tells workers of node runs that are claimable and that nobody has taken."""
    with transaction() as tx:
        forgotten = recovery.unhinted(tx, served(), HINT_AGAIN_SECONDS)
    dispatch.hint(forgotten)
    return len(forgotten)


def adopt_own_agents() -> int:
    """Lets every worker have the node runs whose agent no process had, and which the organization has got since."""
    if not _adopting.take():
        return 0
    with look() as tx:
        wanted = recovery.unserved_agents(tx, served())
    found = [(organization, handler) for organization, handler in wanted if _is_own(organization, handler)]
    if not found:
        return 0
    with transaction() as tx:
        return sum(recovery.rename_handler(tx, organization, handler, OWN_AGENT) for organization, handler in found)


def _timed_out(row: NodeRow) -> Failed:
    message = f"The attempt took longer than {row.timeout or 0:g} s."
    return Failed(NodeError("timeout", message, retryable=True))


def _due(transition: Transition, row: NodeRow) -> Completed | Failed:
    """What follows when nobody has brought what a node run waited for."""
    if degrading.is_with_person(row.state):
        return degrading.unanswered()
    return INLINE[row.handler].due(transition.node_of(row).spec, row.state)


def _is_own(organization: UUID, handler: str) -> bool:
    name = handler.removeprefix("agent:")
    if name.startswith("can:"):
        return agents.is_own(organization, capability=name.removeprefix("can:"))
    return agents.is_own(organization, name=name)


def _each(find: Callable[..., list[Place]], status: NodeStatus, act: Callable[[Transition, NodeRow], None]) -> int:
    with look() as tx:
        places = find(tx)
    for place in places:
        act_on_run(place.run, _guarded(place.node_run, status, act))
    return len(places)


def _guarded(
    node_run: UUID, status: NodeStatus, act: Callable[[Transition, NodeRow], None]
) -> Callable[[Transition], None]:
    """`act` on the node run if, now that its run is locked, it still has the status it was found with."""

    def guarded(transition: Transition) -> None:
        transition.read([node_run])
        row = transition.rows[node_run]
        if row.status is status:
            act(transition, row)

    return guarded
