"""Adding schedules, changing, pausing and resuming them. What fires them is in `firing`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction

from apps.accounts.models import Organization
from apps.common.errors import Conflict, ErrorItem, Invalid
from apps.common.json import JSON
from apps.workflows.engine import cron
from apps.workflows.models import Schedule, Workflow
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.inputs import accepted_input
from apps.workflows.services.versions import find_version
from apps.workflows.store import schedules
from apps.workflows.store.database import transaction as store_transaction


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When and how a workflow is to run by itself."""

    cron: str
    timezone: str = "UTC"
    version: int | None = None
    input: Mapping[str, JSON] = field(default_factory=dict)
    catch_up: str = Schedule.CatchUp.LAST
    overlap: str = Schedule.Overlap.SKIP


def add_schedule(
    *, organization: Organization, workflow: Workflow, name: str, plan: Plan, by: str, enabled: bool = True
) -> Schedule:
    """Adds a schedule, which fires from now on.

    Raises Invalid for a cron expression, a time zone or an input that cannot be used, NotFound for a version that does
    not exist, and Conflict when the name is taken.
    """
    next_time = _checked(workflow, plan)
    values = {one.name: getattr(plan, one.name) for one in fields(plan)}
    try:
        with transaction.atomic():
            return Schedule.objects.create(
                organization=organization,
                workflow=workflow,
                name=name,
                enabled=enabled,
                next_fire_at=next_time if enabled else None,
                created_by=by,
                **values | {"input": dict(plan.input)},
            )
    except IntegrityError:
        raise _taken(name) from None


@transaction.atomic
def change_schedule(schedule: Schedule, *, name: str | None = None, **changes: Any) -> Schedule:
    """Changes parts of a schedule's plan or its name; raises as `add_schedule` does. A new time counts from now on."""
    schedule = _locked(schedule)
    plan = _plan(schedule, changes)
    when = (schedule.cron, schedule.timezone)
    next_time = _checked(schedule.workflow, plan) if changes else schedule.next_fire_at
    for one, value in changes.items():
        setattr(schedule, one, value)
    schedule.name = name or schedule.name
    if schedule.enabled and when != (schedule.cron, schedule.timezone):
        schedule.next_fire_at = next_time
    try:
        with transaction.atomic():
            schedule.save()
    except IntegrityError:
        raise _taken(schedule.name) from None
    return schedule


@transaction.atomic
def pause_schedule(schedule: Schedule) -> Schedule:
    """Fires no more until it is resumed; what waited to begin is dropped, what runs goes on."""
    schedule = _locked(schedule)
    if schedule.enabled:
        with store_transaction() as tx:
            schedules.pause(tx, schedule.pk, "")
        schedule.refresh_from_db()
    return schedule


@transaction.atomic
def resume_schedule(schedule: Schedule) -> Schedule:
    """Fires again, from the next time on; raises as `add_schedule` does while it could not run."""
    schedule = _locked(schedule)
    if not schedule.enabled:
        schedule.next_fire_at = _checked(schedule.workflow, _plan(schedule, {}))
        schedule.enabled, schedule.paused_reason = True, ""
        schedule.save()
    return schedule


def delete_schedule(schedule: Schedule) -> None:
    """Deletes a schedule with the record of its times; its runs stay."""
    schedule.delete()


def next_times(expression: str, timezone: str, count: int) -> list[datetime]:
    """The next times of a cron expression by the database's clock; raises Invalid."""
    now = _now()
    _check_cron(expression, timezone, now)
    return cron.next_times(expression, timezone, now, count)


def _checked(workflow: Workflow, plan: Plan) -> datetime:
    """The next time of a plan that can be run; raises Invalid, NotFound or Conflict."""
    now = _now()
    _check_cron(plan.cron, plan.timezone, now)
    if workflow.archived_at is not None:
        raise Conflict(f"The workflow '{workflow.name}' is archived and does not run.", code="workflow_archived")
    version = find_version(workflow, plan.version)
    accepted_input(compiled_version(version.pk).definition.inputs, plan.input)
    return cron.next_times(plan.cron, plan.timezone, now, 1)[0]


def _check_cron(expression: str, timezone: str, now: datetime) -> None:
    try:
        cron.check(expression, timezone, now)
    except cron.CronError as error:
        fault = ErrorItem(f"/{error.field}", f"invalid_{error.field}", str(error))
        raise Invalid(str(error), code=fault.code, errors=[fault]) from None


def _plan(schedule: Schedule, changes: Mapping[str, Any]) -> Plan:
    return Plan(**{one.name: getattr(schedule, one.name) for one in fields(Plan)} | dict(changes))


def _locked(schedule: Schedule) -> Schedule:
    """The schedule as it is now; a fire of it waits, or has been committed."""
    return Schedule.objects.select_related("workflow").select_for_update(of=["self"]).get(pk=schedule.pk)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a schedule '{name}' already.", code="name_taken")
