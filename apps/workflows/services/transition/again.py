"""Doing something another time: after a failure, after a loss, after a person said so."""

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from apps.workflows.engine.degrading import NOT_FOR_OTHERS
from apps.workflows.engine.marking import Start
from apps.workflows.engine.retry import RetryPolicy, next_delay, next_look
from apps.workflows.engine.states import NodeStatus, RunStatus
from apps.workflows.nodes.base import Failed, NodeError
from apps.workflows.services.transition import node_end, starting
from apps.workflows.store import effects, progress
from apps.workflows.store.rows import EndedAttempt, NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition


def retry_delay(transition: "Transition", row: NodeRow, error: NodeError) -> float | None:
    """Seconds until the node is tried again after this failure; None when it is not."""
    if error.deferred:
        earlier = row.state.get("deferrals", 0)
        return next_look(earlier=earlier, randomness=transition.randomness(), retry_after=error.retry_after)
    retry = transition.node_of(row).spec.retry
    return next_delay(
        retry.policy() if retry else RetryPolicy(),
        attempt=max(row.attempt, 1),
        retryable=error.retryable,
        randomness=transition.randomness(),
        retry_after=error.retry_after,
    )


def retry(transition: "Transition", row: NodeRow, error: NodeError, delay: float) -> None:
    """Queues a failed node run again for later."""
    tried = row.attempt
    end_attempt(transition, row, error)
    row.status, row.waiting_for = NodeStatus.RETRYING, ""
    if not error.deferred:
        row.state.pop("task", None)
    row.state.pop("child", None)  # this try has had its child run; the next one starts another
    row.available_at = transition.run.now + timedelta(seconds=delay)
    row.worker = row.deadline_at = None
    transition.note(row)
    facts = {"delay": round(delay, 3), "error": error.as_json(), "reason": "deferred" if error.deferred else None}
    transition.tell("node.retrying", row, attempt=tried, **facts)


def lose(transition: "Transition", row: NodeRow, *, most: int) -> None:
    """Takes a node run back from a worker that died; after `most` losses it fails as poison."""
    transition.attempts.append(EndedAttempt.of(row, "lost"))
    row.lost_count += 1
    if (unknown := _unknown_effect(transition, row, "died")) is not None:
        transition.bring(row, unknown)
    elif row.lost_count >= most:
        message = f"The node was lost {row.lost_count} times with the worker that ran it; it is not tried again."
        transition.bring(row, Failed(NodeError("worker_lost", message)))
    else:
        _hand_back(transition, row, reason="worker_lost")
    transition.work_in()


def release(transition: "Transition", row: NodeRow) -> None:
    """Takes a node run back from a worker that stops; nothing is counted."""
    transition.attempts.append(EndedAttempt.of(row, "released"))
    if (unknown := _unknown_effect(transition, row, "stopped")) is not None:
        transition.bring(row, unknown)
        transition.work_in()
    else:
        _hand_back(transition, row, reason="worker_stopped")


def restart(transition: "Transition", row: NodeRow) -> None:
    """Makes a failed or cancelled node run as if it had not been tried."""
    row.status, row.waiting_for = NodeStatus.QUEUED, ""
    row.state.pop("task", None)
    row.state["tries"] = row.state.get("tries", 0) + row.attempt
    if (row.error or {}).get("code") not in NOT_FOR_OTHERS:
        row.state.pop("degraded", None)  # the node's own agent may be well again
    row.attempt = row.lost_count = 0
    row.error = row.output = row.worker = row.finished_at = row.started_at = row.deadline_at = None
    row.available_at = transition.run.now
    transition.note(row)


def go_on(transition: "Transition", row: NodeRow, **news: str) -> None:
    """Has a node that waited in the middle of its work executed again, from where it was, with the news it waited for.

    That counts as no further try.
    """
    row.state["news"] = {**news, "digest": row.state.pop("asks", "")}
    row.waiting_for, row.worker = "", None
    row.attempt = max(0, row.attempt - 1)
    transition.tell("node.queued", row, reason="decided" if "decision" in news else "child_ended")
    starting.queue(transition, row)


def look_again(transition: "Transition", row: NodeRow) -> None:
    """Has a node that left its task to an agent outside executed again: the attempt finds what became of the task.

    That counts as no further try, and the time of the attempt goes on.
    """
    row.waiting_for, row.worker = "", None
    row.attempt = max(0, row.attempt - 1)
    transition.tell("node.queued", row, reason="agent_ended")
    starting.queue(transition, row)


def undecided(transition: "Transition") -> list[UUID]:
    """The effects of the visits the run stopped in of which a person has to say whether they happened."""
    visits = [(name, node.visit) for name, node in transition.marking.active.items()]
    return effects.undecided(transition.tx, transition.run.id, visits)


def resume(transition: "Transition", *, by: str) -> None:
    """Goes on with a failed run: its stopped visits start again, and those that the failure kept from starting."""
    transition.run.status, transition.run.error = RunStatus.RUNNING, None
    transition.tell("run.resumed", by=by, reason="retry")
    if transition.compiled.definition.timeout is not None:
        progress.renew_deadline(transition.tx, transition.run.id, transition.compiled.definition.timeout)
    stopped = _stopped(transition)
    for row in stopped:
        transition.rows[row.id] = row
        restart(transition, row)
        transition.tell("node.queued", row, reason="retry")
        starting.activate(transition, row)
    known = {row.node for row in stopped}
    for name, active in transition.marking.active.items():
        if name not in known:
            starting.start_visit(transition, Start(name, active.visit, active.depth))
    transition.work_in()


def end_attempt(transition: "Transition", row: NodeRow, error: NodeError) -> None:
    """Notes the end of a try that failed, or that has to come back for a call and so counts as none."""
    if not error.deferred:
        row.state.pop("deferrals", None)
        node_end.end_attempt(transition, row, error)
        return
    transition.attempts.append(EndedAttempt.of(row, "deferred"))
    row.attempt = max(0, row.attempt - 1)
    row.state["deferrals"] = row.state.get("deferrals", 0) + 1
    row.error = row.error or error.as_json()  # how the last attempt failed says more


def _stopped(transition: "Transition") -> list[NodeRow]:
    """The visits that the failed run was in, which its marking still holds as active."""
    active = transition.marking.active
    if not active:
        return []
    visits = [(name, node.visit) for name, node in active.items()]
    return [row for row in progress.stopped_nodes(transition.tx, transition.run.id, visits) if not row.is_item]


def _unknown_effect(transition: "Transition", row: NodeRow, end: str) -> Failed | None:
    """The failure of a node that must not run twice; None where it may, or where it is known what it did."""
    if transition.node_of(row).spec.idempotent:
        return None
    effect = effects.doubt(transition.tx, row)
    if effect is None:
        return None
    message = f"Its worker {end} while the node ran. It must not run twice, and nobody knows what of it happened."
    return Failed(NodeError("effect_unknown", message, details={"effect": str(effect)}))


def _hand_back(transition: "Transition", row: NodeRow, *, reason: str) -> None:
    row.attempt = max(0, row.attempt - 1)
    row.deadline_at = None
    transition.tell("node.queued", row, reason=reason, worker=row.worker and str(row.worker))
    place = row.available_at
    starting.queue(transition, row)
    row.available_at = place or row.available_at  # it has had its turn; behind a full queue it would wait long
