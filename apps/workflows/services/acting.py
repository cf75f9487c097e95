"""Acting on a run: one transaction under its lock, then whatever has to be told to others."""

import random
from collections.abc import Callable
from functools import partial
from uuid import UUID

import orjson
import structlog
from django.conf import settings
from django.db import transaction as django_transaction

from apps.common.errors import Fatal, NotFound
from apps.common.ids import uuid7
from apps.workflows import dispatch
from apps.workflows.engine.states import RunStatus
from apps.workflows.nodes.base import ChildRequest, Completed, Failed, NodeError
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.inputs import checked_input
from apps.workflows.services.transition import again, ending
from apps.workflows.services.transition.transition import Consequences, Limits, Transition
from apps.workflows.store import definitions, progress, recovery
from apps.workflows.store.database import TRIES, Transaction, patiently, transaction
from apps.workflows.store.rows import NodeRow, RunRow
from apps.workflows.store.values import Packer

Act = Callable[[Transition], None]

log = structlog.get_logger(__name__)


def act_on_run(
    run: UUID, act: Act, *, worker: UUID | None = None, go_on_with: int = 0, inline: bool = False, tries: int = TRIES
) -> Consequences:
    """Does `act` with the run locked, writes what follows, and tells others after the commit.

    `inline` says whether deciding nodes are evaluated here (workers do) or left to a worker. Up to
    `go_on_with` node runs come back claimed for `worker`. Raises NotFound when there is no such run.
    The whole transaction is tried again, `tries` times in all, where the database says that this helps.
    """
    once = partial(_act_once, run, act, worker=worker, go_on_with=go_on_with, inline=inline)
    consequences = patiently(once, tries=tries)
    django_transaction.on_commit(partial(tell, run, consequences))
    return consequences


def open_transition(tx: Transaction, run: RunRow, *, inline: bool) -> Transition:
    """A transition of a locked run."""
    compiled = compiled_version(run.version_id, tx)
    limits = Limits(**settings.ORCHESTRA_LIMITS)
    return Transition(
        tx, run, compiled, start_child=_start_child, limits=limits, inline=inline, randomness=random.random
    )


def tell(run: UUID, consequences: Consequences) -> None:
    """What follows from a commit outside its transaction. All of it is also found by the recovery."""
    dispatch.hint(consequences.hints)
    dispatch.wake(run)
    if consequences.ended_child_of is not None:
        report_to_parent(consequences.ended_child_of)
    if consequences.orphaned:
        cancel_orphans(run)


def report_to_parent(node_run: UUID) -> None:
    """Completes or fails the node that waited for a child run, once that has ended."""

    def act(transition: Transition) -> None:
        transition.read([node_run])
        row = transition.rows[node_run]
        if row.waiting_for == "child" and (outcome := _child_outcome(transition, row)) is not None:
            transition.bring(row, outcome)
            transition.work_in()

    with transaction() as tx:
        run = progress.run_of_node(tx, node_run)
    if run is not None:
        act_on_run(run, act)


def cancel_orphans(parent: UUID | None = None) -> int:
    """Cancels child runs that nobody waits for any more; gives how many."""
    with transaction() as tx:
        orphans = recovery.orphans(tx, parent)
    for orphan in orphans:
        act_on_run(orphan, lambda transition: ending.cancel_run(transition, by="parent run"))
    return len(orphans)


def _act_once(run: UUID, act: Act, *, worker: UUID | None, go_on_with: int, inline: bool) -> Consequences:
    with transaction() as tx:
        row = progress.lock_run(tx, run)
        if row is None:
            raise NotFound(f"There is no run '{run}'.", code="run_not_found")
        transition = open_transition(tx, row, inline=inline)
        act(transition)
        if not transition.touched:
            return Consequences()
        return transition.write(worker=worker, go_on_with=go_on_with)


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
    identifier = uuid7()
    packer = Packer(run.organization_id)
    definitions.insert_run(
        tx,
        id=identifier,
        organization=run.organization_id,
        workflow=version["workflow_id"],
        version=version["version_id"],
        name=version["name"],
        input=packer.pack(given),
        priority=run.priority,
        trigger="run",
        created_by=run.created_by,
        parent=run.id,
        parent_node=row.id,
        nesting=run.nesting + 1,
        timeout=compiled.definition.timeout,
    )
    packer.write(tx)
    row.state["workflow"] = request.workflow
    parent.consequences.hints += begin_run(tx, identifier)
    return identifier


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


def begin_run(tx: Transaction, run: UUID) -> list[tuple[UUID, str]]:
    """Queues the entry nodes of a run that has just been added; gives what to tell the workers."""
    row = progress.lock_run(tx, run)
    if row is None:
        raise NotFound(f"There is no run '{run}'.", code="run_not_found")
    transition = open_transition(tx, row, inline=False)
    transition.begin()
    return transition.write().hints
