"""Starting runs and acting on them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.accounts.models import Organization
from apps.common.errors import Conflict, Fatal, Invalid
from apps.common.ids import uuid7
from apps.common.json import JSON
from apps.workflows import dispatch
from apps.workflows.engine.states import RUN_ENDED, RunStatus
from apps.workflows.models import WorkflowVersion
from apps.workflows.services.acting import act_on_run, begin_run
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.inputs import accepted_input
from apps.workflows.services.transition import again, ending
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import clock, progress
from apps.workflows.store.database import LockNeeded, Transaction, after_commit, look, patiently, transaction
from apps.workflows.store.rows import RunRow

SMALLEST_PRIORITY, GREATEST_PRIORITY = -100, 100


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants to run."""

    input: Mapping[str, JSON] = field(default_factory=dict)
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    trigger: str = "api"
    by: str = ""


def start_run(*, organization: Organization, version: WorkflowVersion, order: Order) -> UUID:
    """Adds a run and queues its first nodes in one transaction; gives its id.

    Raises Invalid when the input does not fit the workflow's schema, with a JSON Pointer to each place.
    """
    compiled = compiled_version(version.pk)
    given = accepted_input(compiled.definition.inputs, order.input)
    identifier = uuid7()

    def begin(tx: Transaction) -> list[tuple[UUID, str]]:
        row = RunRow(
            id=identifier,
            organization_id=organization.pk,
            version_id=version.pk,
            workflow_id=version.workflow_id,
            name=compiled.definition.name,
            priority=order.priority,
            created_by=order.by,
            now=clock.now(tx),
        )
        return begin_run(tx, row, given, trigger=order.trigger, labels=order.labels)

    def add() -> list[tuple[UUID, str]]:
        with suppress(LockNeeded), look() as tx:
            return begin(tx)
        with transaction() as tx:
            return begin(tx)

    try:
        hints = patiently(add)
    except Fatal as error:
        raise Invalid(str(error), code=error.code) from None
    after_commit(lambda: tell_of_start(identifier, hints))
    return identifier


def cancel_run(run: UUID, *, by: str) -> None:
    """Ends a run and everything in flight, child runs included; a run that was cancelled before stays as it is.

    Running nodes are told within half a second; what they still deliver is refused.
    """

    def act(transition: Transition) -> None:
        status = transition.run.status
        if status in RUN_ENDED and status is not RunStatus.CANCELLED:
            raise _conflict("cancelled", status)
        if status not in RUN_ENDED:
            ending.cancel_run(transition, by)

    act_on_run(run, act)


def pause_run(run: UUID, *, by: str, reason: str = "", account: UUID | None = None) -> None:
    """Lets running nodes finish and starts no further ones, until `resume_run`; an agent outside begins nothing either.

    `reason` says why in a sentence, and `account` names that of the budget which has too little left.
    """

    def act(transition: Transition) -> None:
        if transition.run.status is RunStatus.PAUSED:
            return
        if transition.run.status in RUN_ENDED:
            raise _conflict("paused", transition.run.status)
        transition.run.status = RunStatus.PAUSED
        transition.consequences.orphaned = True  # tasks that no agent has fetched yet
        facts: dict[str, Any] = {"reason": reason, "account": str(account) if account else ""}
        transition.tell("run.paused", by=by, **{name: value for name, value in facts.items() if value})

    act_on_run(run, act)


def resume_run(run: UUID, *, by: str) -> None:
    """Goes on with a paused run."""

    def act(transition: Transition) -> None:
        if transition.run.status is not RunStatus.PAUSED:
            raise _conflict(
                "resumed", transition.run.status, "Only a paused run is resumed; a failed one takes 'retry'."
            )
        transition.run.status = RunStatus.RUNNING if transition.run.started_at else RunStatus.PENDING
        transition.tell("run.resumed", by=by)
        for row in progress.open_nodes(transition.tx, run):
            transition.offer(row)

    act_on_run(run, act)


def retry_run(run: UUID, *, by: str) -> None:
    """Goes on with a failed run from its failed nodes; finished work is not repeated.

    Raises Conflict `effects_undecided` while a person has to say of an effect whether it happened.
    """

    def act(transition: Transition) -> None:
        if transition.run.status is not RunStatus.FAILED:
            raise _conflict("retried", transition.run.status, "Only a failed run is retried; fork one that completed.")
        if undecided := again.undecided(transition):
            raise _undecided(undecided)
        again.resume(transition, by=by)

    act_on_run(run, act)


def tell_of_start(run: UUID, hints: list[tuple[UUID, str]]) -> None:
    """Tells workers and watchers of a new run, after its commit."""
    dispatch.hint(hints)
    dispatch.wake(run)


def _undecided(undecided: Sequence[UUID]) -> Conflict:
    ids = ", ".join(str(effect) for effect in undecided[:5])
    return Conflict(
        f"Nobody knows whether {len(undecided)} of the run's effects happened ({ids}). "
        "Say so first, with POST /v1/effects/{id} or 'effects decide'; the last decision sends the run on.",
        code="effects_undecided",
        extra={"effects": [str(effect) for effect in undecided]},
    )


def _conflict(act: str, status: RunStatus, fix: str = "") -> Conflict:
    return Conflict(
        f"The run is {status} and cannot be {act}. {fix}".rstrip(),
        code="wrong_status",
        extra={"run_status": str(status)},
    )
