"""Acting on a run: decided and written as one, then whatever has to be told to others.

Most acts only look at a run and write one statement at the end, which holds if nobody has changed the run meanwhile:
no lock, one round trip, one commit. An act that has to write before its end, and one that found the run changed,
is done under the lock on the run's row.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from uuid import UUID

import orjson
import structlog
from django.conf import settings

from apps.common.errors import Fatal, NotFound
from apps.common.ids import uuid7
from apps.common.json import JSON
from apps.workflows import dispatch
from apps.workflows.engine.states import RunStatus
from apps.workflows.nodes.base import ChildRequest, Completed, Failed, NodeError
from apps.workflows.nodes.registry import INLINE
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.inputs import checked_input
from apps.workflows.services.memory import Memory
from apps.workflows.services.orphaned_tasks import withdraw_orphans
from apps.workflows.services.transition import again, ending
from apps.workflows.services.transition.claiming import Room, no_room
from apps.workflows.services.transition.consequences import Consequences
from apps.workflows.services.transition.limits import Limits
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import clock, definitions, progress, recovery
from apps.workflows.store.database import (
    TRANSIENT,
    TRIES,
    Changed,
    LockNeeded,
    Transaction,
    after_commit,
    look,
    patiently,
    transaction,
)
from apps.workflows.store.rows import NodeRow, RunRow
from apps.workflows.store.writing import NewRun

Act = Callable[[Transition], None]

log = structlog.get_logger(__name__)


def act_on_run(
    run: UUID,
    act: Act,
    *,
    worker: UUID | None = None,
    room: Room = no_room,
    inline: bool = False,
    tries: int = TRIES,
    memory: Memory | None = None,
) -> Consequences:
    """Does `act` on the run as it is now, writes what follows, and tells others after the commit.

    `inline` says whether deciding nodes are evaluated here (workers do) or left to a worker. As many node runs as
    `room` grants come back claimed for `worker`. What `memory` knows of the run is not read again. Raises NotFound
    when there is no such run. The whole is tried again, `tries` times in all, where the database says that this helps.
    """
    once = partial(_act_once, run, act, worker=worker, room=room, inline=inline, memory=memory)
    consequences = patiently(once, tries=tries)
    after_commit(partial(tell, run, consequences))
    return consequences


def open_transition(tx: Transaction, run: RunRow, *, inline: bool) -> Transition:
    """A transition of a run."""
    compiled = compiled_version(run.version_id, tx)
    limits = Limits(**settings.ORCHESTRA_LIMITS)
    return Transition(
        tx, run, compiled, start_child=_start_child, limits=limits, inline=inline, randomness=random.random
    )


def tell(run: UUID, consequences: Consequences) -> None:
    """What follows from a commit outside its transaction. All of it is also found by the recovery."""
    dispatch.hint(consequences.hints)
    dispatch.wake(run, ended=consequences.ended)
    if consequences.ended_child_of is not None:
        report_to_parent(consequences.ended_child_of)
    if consequences.orphaned:
        cancel_orphans(run)
        withdraw_orphans(run)


def report_to_parent(node_run: UUID) -> None:
    """Completes or fails the node that waited for a child run, once that has ended."""

    def act(transition: Transition) -> None:
        transition.read([node_run])
        row = transition.rows[node_run]
        if row.waiting_for == "child" and (outcome := _child_outcome(transition, row)) is not None:
            if row.handler in INLINE:
                transition.bring(row, outcome)
                transition.work_in()
            else:  # an agent that goes on with what came of it
                again.go_on(transition, row, run=str(row.state.pop("child")))

    with look() as tx:
        run = progress.run_of_node(tx, node_run)
    if run is not None:
        act_on_run(run, act)


def cancel_orphans(parent: UUID | None = None) -> int:
    """Cancels child runs that nobody waits for any more; gives how many."""
    with look() as tx:
        orphans = recovery.orphans(tx, parent)
    for orphan in orphans:
        act_on_run(orphan, lambda transition: ending.cancel_run(transition, by="parent run"))
    return len(orphans)


def _act_once(
    run: UUID, act: Act, *, worker: UUID | None, room: Room, inline: bool, memory: Memory | None
) -> Consequences:
    with suppress(Changed, LockNeeded), _looking(run, memory, inline=inline) as transition:
        return _act(transition, act, worker, room, memory)
    with _locked(run, inline=inline) as transition:
        return _act(transition, act, worker, room, memory)


def _act(transition: Transition, act: Act, worker: UUID | None, room: Room, memory: Memory | None) -> Consequences:
    try:
        act(transition)
    except TRANSIENT:
        raise
    except Exception as error:
        if transition.remembered:
            raise Changed from error  # what was remembered may be out of date; what the rows say decides
        raise
    if not transition.touched:
        if transition.remembered:
            raise Changed  # only a write would have shown that the memory was out of date
        return Consequences()
    consequences = transition.write(worker=worker, room=room)
    if memory is not None:
        memory.keep(transition)
    return consequences


@contextmanager
def _looking(run: UUID, memory: Memory | None, *, inline: bool) -> Iterator[Transition]:
    """A transition that locks nothing."""
    known = memory.take(run) if memory else None
    with look() as tx:
        if known is None:
            yield open_transition(tx, _found(progress.read_run(tx, run), run), inline=inline)
        else:
            known.run.now = clock.now(tx)
            transition = open_transition(tx, known.run, inline=inline)
            transition.take_over(known)
            yield transition


@contextmanager
def _locked(run: UUID, *, inline: bool) -> Iterator[Transition]:
    """A transition of the locked run."""
    with transaction() as tx:
        yield open_transition(tx, _found(progress.lock_run(tx, run), run), inline=inline)


def _found(row: RunRow | None, run: UUID) -> RunRow:
    if row is None:
        raise NotFound(f"There is no run '{run}'.", code="run_not_found")
    return row


def _child_outcome(transition: Transition, row: NodeRow) -> Completed | Failed | None:
    child = UUID(row.state["child"])
    ended = definitions.outcome(transition.tx, child)
    if ended is None or ended["status"] not in ("completed", "failed", "cancelled"):
        return None
    if ended["status"] == "completed":
        (output,) = transition.packer.unpack(transition.tx, [ended["output"]])
        return Completed(output)
    error = orjson.loads(ended["error"]) if ended["error"] else {"message": "It was cancelled."}
    message = f"The run of '{row.state['workflow']}' {ended['status']}: {error['message']}"
    return Failed(NodeError(f"child_{ended['status']}", message, retryable=True, details={"run": str(child)}))


def _start_child(parent: Transition, row: NodeRow, request: ChildRequest) -> UUID:
    """Adds the child run and its first nodes in the parent's own transaction, or sends the earlier one on."""
    tx, run = parent.tx, parent.run
    if "child" in row.state:
        return _send_on(parent, row)
    version = definitions.resolve(tx, run.organization_id, request.workflow, request.version)
    if version is None:
        which = f" in version {request.version}" if request.version else ""
        raise Fatal(f"There is no workflow '{request.workflow}'{which}.", code="unknown_workflow")
    compiled = compiled_version(version["version_id"], tx)
    given, issues = checked_input(compiled.definition.inputs, request.input)
    if issues:
        raise Fatal(f"{issues[0].pointer}: {issues[0].message}", code="invalid_input")
    row.state["workflow"] = request.workflow
    tx.needs_lock()
    child = RunRow(
        id=uuid7(),
        organization_id=run.organization_id,
        version_id=version["version_id"],
        workflow_id=version["workflow_id"],
        name=version["name"],
        priority=run.priority,
        nesting=run.nesting + 1,
        parent_id=run.id,
        parent_node_id=row.id,
        created_by=run.created_by,
        now=run.now,
    )
    parent.consequences.hints += begin_run(tx, child, given, trigger="run")
    return child.id


def _send_on(parent: Transition, row: NodeRow) -> UUID:
    """Has the child run of an earlier try go on from its failed nodes: a person has retried the parent."""
    child = UUID(row.state["child"])
    locked = progress.lock_run(parent.tx, child)
    if locked is not None and locked.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        transition = open_transition(parent.tx, locked, inline=False)
        again.resume(transition, by=locked.created_by)
        parent.consequences.hints += transition.write().hints
    elif isinstance(outcome := _child_outcome(parent, row), Completed):  # it ended after its parent had failed
        parent.bring(row, outcome)
    return child


def begin_run(
    tx: Transaction, run: RunRow, given: JSON, *, trigger: str, labels: Mapping[str, str] | None = None
) -> list[tuple[UUID, str]]:
    """Adds a run with this input and queues its entry nodes; gives what to tell the workers.

    Raises Fatal for an input that is too large to be kept.
    """
    transition = open_transition(tx, run, inline=False)
    run.input, run.trigger = transition.packer.pack(given), trigger
    transition.begin()
    timeout = transition.compiled.definition.timeout
    return transition.add(NewRun(labels=labels or {}, trigger=trigger, timeout=timeout)).hints
