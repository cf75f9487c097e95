"""The lifecycles of a run and of a node run: every status, and every pair that may follow another."""

from enum import StrEnum


class RunStatus(StrEnum):
    """The lifecycle of a run."""

    PENDING = "pending"  # accepted, nothing has started yet
    RUNNING = "running"
    WAITING = "waiting"  # only waits and approvals are active
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NodeStatus(StrEnum):
    """The lifecycle of one visit of one node."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"  # for a time, an event, a person, a child run, the items of a map or an agent outside
    RETRYING = "retrying"  # queued again after a failed attempt, due later
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # never a row: what the run never started


RUN_ENDED = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
NODE_ENDED = frozenset({NodeStatus.COMPLETED, NodeStatus.FAILED, NodeStatus.CANCELLED, NodeStatus.SKIPPED})
CLAIMABLE = frozenset({NodeStatus.QUEUED, NodeStatus.RETRYING})

_R, _N = RunStatus, NodeStatus

RUN_TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    _R.PENDING: frozenset({_R.RUNNING, _R.WAITING, _R.PAUSED, _R.COMPLETED, _R.FAILED, _R.CANCELLED}),
    _R.RUNNING: frozenset({_R.WAITING, _R.PAUSED, _R.COMPLETED, _R.FAILED, _R.CANCELLED}),
    _R.WAITING: frozenset({_R.RUNNING, _R.PAUSED, _R.COMPLETED, _R.FAILED, _R.CANCELLED}),
    _R.PAUSED: frozenset({_R.PENDING, _R.RUNNING, _R.WAITING, _R.COMPLETED, _R.FAILED, _R.CANCELLED}),
    _R.COMPLETED: frozenset(),
    # A person may send a failed run on from its failed nodes; nothing else leaves an end.
    _R.FAILED: frozenset({_R.RUNNING}),
    # A child run that was cancelled when its parent failed goes on when a person retries the parent.
    _R.CANCELLED: frozenset({_R.RUNNING}),
}

NODE_TRANSITIONS: dict[NodeStatus, frozenset[NodeStatus]] = {
    # A node that only decides is not claimed, and one that was taken back may still be finished by who had it:
    # both go from the queue straight to where their result leads.
    _N.QUEUED: frozenset({_N.RUNNING, _N.WAITING, _N.RETRYING, _N.COMPLETED, _N.FAILED, _N.CANCELLED}),
    _N.RUNNING: frozenset({_N.COMPLETED, _N.FAILED, _N.CANCELLED, _N.WAITING, _N.RETRYING, _N.QUEUED}),
    # An agent that has waited for a person's leave is executed again, and a node that an agent outside has answered.
    _N.WAITING: frozenset({_N.QUEUED, _N.RETRYING, _N.COMPLETED, _N.FAILED, _N.CANCELLED}),
    _N.RETRYING: frozenset({_N.RUNNING, _N.WAITING, _N.COMPLETED, _N.FAILED, _N.CANCELLED}),
    _N.COMPLETED: frozenset(),
    # Sent on by a person together with their run, or with the map that is tried again; claimed at once it may be.
    _N.FAILED: frozenset({_N.QUEUED, _N.RUNNING}),
    _N.CANCELLED: frozenset({_N.QUEUED, _N.RUNNING}),
    _N.SKIPPED: frozenset(),
}


def run_may_become(current: RunStatus, following: RunStatus) -> bool:
    """Whether a run may go from one status to the other."""
    return following in RUN_TRANSITIONS[current]


def node_may_become(current: NodeStatus, following: NodeStatus) -> bool:
    """Whether a node run may go from one status to the other."""
    return following in NODE_TRANSITIONS[current]
