"""Schedules that fire: each time once, by any number of processes, whichever of them dies when.

One transaction for each schedule:

1. Its row is locked; who finds it locked leaves it to the other.
2. For each time that is due a fire is added, whose unique key lets a time count once, and with it the run.
3. The next time is written, and all of it is committed.

Who dies before the commit has done nothing, and after it the next one finds nothing due.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from apps.common.errors import DomainError, Fatal, Invalid, NotFound
from apps.common.ids import uuid7
from apps.workflows.engine import cron
from apps.workflows.models import Schedule, ScheduleFire
from apps.workflows.services import queue_limit
from apps.workflows.services.acting import begin_run
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.inputs import accepted_input
from apps.workflows.services.runs import tell_of_start
from apps.workflows.store import clock, schedules
from apps.workflows.store.database import TRANSIENT, Transaction, after_commit, patiently, transaction
from apps.workflows.store.rows import RunRow
from apps.workflows.store.schedules import DueSchedule

LATE = timedelta(minutes=1)  # a time that is fired later than this was missed, and the catch-up policy decides
MOST_CAUGHT_UP = 10
MOST_IN_TIME = 120  # times of one schedule in one round
MOST_QUEUED = 10
KEPT_DAYS = 90
TRIGGER = "schedule"

CatchUp, Overlap, Outcome = Schedule.CatchUp, Schedule.Overlap, ScheduleFire.Outcome
Hints = list[tuple[UUID, str]]
Started = list[tuple[UUID, Hints]]

log = structlog.get_logger(__name__)


def fire_schedules() -> int:
    """Fires what is due; gives how many schedules were. One that breaks is paused, and the others go on."""
    with transaction() as tx:
        due = schedules.due(tx)
    for schedule in due:
        try:
            fire_schedule(schedule)
        except TRANSIENT:
            raise
        except Exception as error:
            log.exception("A schedule cannot be fired.", action="schedule_broken", schedule=str(schedule))
            _pause(schedule, f"It could not be fired: {type(error).__name__}: {error}"[:500])
    return len(due)


def fire_schedule(schedule: UUID) -> int:
    """Fires what is due of one schedule; gives how many runs began."""

    def fire() -> Started:
        with transaction() as tx:
            found = schedules.lock(tx, schedule)
            return [] if found is None else _fire(tx, found)

    started = patiently(fire)
    _tell(started)
    return len(started)


def fire_now(schedule: UUID, *, by: str) -> UUID:
    """Starts a run at once, whatever its policies say and also while it is paused; gives its id.

    Raises NotFound or Invalid when there is nothing to run, or not with its input.
    """
    run = uuid7()
    with transaction() as tx:
        moment = clock.now(tx)  # once: a second try after a lost answer finds what the first one has written

    def fire() -> Started:
        with transaction() as tx:
            found = schedules.lock(tx, schedule, wait=True)
            if found is None:
                raise NotFound(f"There is no schedule '{schedule}'.", code="schedule_not_found")
            hints = _begin(tx, found, moment, run)
            schedules.add_fire(tx, found, moment, outcome=Outcome.STARTED, run=run, by=by)
            return [(run, hints)]

    try:
        started = patiently(fire)
    except Fatal as error:
        raise Invalid(str(error), code=error.code) from None
    after_commit(partial(_tell, started))
    return run


def forget_old_fires() -> int:
    """Deletes a batch of what came of times long ago; gives how many. What still goes on stays."""
    with transaction() as tx:
        return schedules.forget(tx, KEPT_DAYS)


def times_to_fire(schedule: DueSchedule) -> list[datetime]:
    """Those of the times up to now that are fired: all that are in time, and of missed ones what the policy says."""
    if schedule.next_fire_at is None or schedule.next_fire_at > schedule.now:
        return []
    since, late = schedule.next_fire_at, schedule.now - LATE
    look = partial(cron.latest_times, schedule.cron, schedule.timezone, until=schedule.now)
    if since >= late:
        return look(since=since, most=MOST_IN_TIME)
    if schedule.catch_up == CatchUp.NONE:
        return look(since=late, most=MOST_IN_TIME)
    return look(since=since, most=1 if schedule.catch_up == CatchUp.LAST else MOST_CAUGHT_UP)


def _fire(tx: Transaction, schedule: DueSchedule) -> Started:
    started = _begin_queued(tx, schedule)
    if started is None:
        return []
    if schedule.next_fire_at is None or schedule.next_fire_at > schedule.now:
        return started
    for moment in times_to_fire(schedule):
        begun = _fire_time(tx, schedule, moment)
        if begun is None:
            return started
        started += begun
    following = cron.next_times(schedule.cron, schedule.timezone, schedule.now, 1)
    if following:
        schedules.move(tx, schedule.id, following[0])
    else:
        schedules.pause(tx, schedule.id, "Its cron expression never fires again.")
    return started


def _fire_time(tx: Transaction, schedule: DueSchedule, moment: datetime) -> Started | None:
    """What began; None when the schedule has been paused instead."""
    add = partial(schedules.add_fire, tx, schedule, moment)
    if (outcome := _overlapping(tx, schedule)) is not None:
        reason = "The run before still goes on." if outcome == Outcome.SKIPPED else ""
        add(outcome=outcome, reason=reason)
        return []
    if not queue_limit.has_room(schedule.organization_id):
        add(outcome=Outcome.SKIPPED, reason="The organization has as many runs waiting to begin as it may have.")
        return []
    run = uuid7()

    def note(outcome: str, reason: str = "") -> bool:
        return add(outcome=outcome, run=run if outcome == Outcome.STARTED else None, reason=reason)

    return _try(tx, schedule, moment, run, note)


def _begin_queued(tx: Transaction, schedule: DueSchedule) -> Started | None:
    """Begins with the first fire that has waited, if nothing of the schedule goes on; None when it has been paused."""
    fires = schedules.open_fires(tx, schedule.id)
    if not (waiting := schedules.places(fires, Outcome.QUEUED)) or schedules.places(fires, Outcome.STARTED):
        return []
    if not queue_limit.has_room(schedule.organization_id):
        return []  # it waits on
    first, run = waiting[0], uuid7()

    def note(outcome: str, reason: str = "") -> bool:
        schedules.begin_fire(
            tx, first.id, outcome=outcome, run=run if outcome == Outcome.STARTED else None, reason=reason
        )
        return True

    return _try(tx, schedule, first.scheduled_for, run, note)


def _try(
    tx: Transaction, schedule: DueSchedule, moment: datetime, run: UUID, note: Callable[..., bool]
) -> Started | None:
    """Begins a run and notes it, or notes why not and pauses the schedule; a time that is noted already is left."""
    try:
        with transaction() as inner:  # a savepoint: a run that cannot begin leaves nothing
            if not note(Outcome.STARTED):
                return []
            return [(run, _begin(inner, schedule, moment, run))]
    except (DomainError, Fatal) as error:
        reason = error.detail if isinstance(error, DomainError) else str(error)
    note(Outcome.REFUSED, reason)
    schedules.pause(tx, schedule.id, reason)
    log.warning("A schedule is paused.", action="schedule_paused", schedule=str(schedule.id), reason=reason)
    return None


def _overlapping(tx: Transaction, schedule: DueSchedule) -> str | None:
    """What becomes of a time because of what goes on; None when its run begins."""
    if schedule.overlap == Overlap.ALLOW or not (fires := schedules.open_fires(tx, schedule.id)):
        return None
    waiting = schedules.places(fires, Outcome.QUEUED)
    is_full = schedule.overlap == Overlap.SKIP or len(waiting) >= MOST_QUEUED
    return Outcome.SKIPPED if is_full else Outcome.QUEUED


def _begin(tx: Transaction, schedule: DueSchedule, moment: datetime, run: UUID) -> Hints:
    """Adds the run; raises NotFound, Invalid or Fatal when there is nothing to run, or not with this input."""
    if schedule.archived:
        raise NotFound(f"The workflow '{schedule.workflow}' is archived.", code="workflow_not_found")
    if schedule.version_id is None:
        raise NotFound(f"'{schedule.workflow}' has no version {schedule.version}.", code="version_not_found")
    compiled = compiled_version(schedule.version_id, tx)
    row = RunRow(
        id=run,
        organization_id=schedule.organization_id,
        version_id=schedule.version_id,
        workflow_id=schedule.workflow_id,
        name=compiled.definition.name,
        created_by=f"schedule:{schedule.name}",
        now=schedule.now,
    )
    given = accepted_input(compiled.definition.inputs, schedule.input)
    labels = {"scheduled_for": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    return begin_run(tx, row, given, trigger=TRIGGER, labels=labels)


def _pause(schedule: UUID, reason: str) -> None:
    with transaction() as tx:
        schedules.pause(tx, schedule, reason)


def _tell(started: Started) -> None:
    for run, hints in started:
        tell_of_start(run, hints)
