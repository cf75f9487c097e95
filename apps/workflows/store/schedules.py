"""Schedules while they fire: everything under the lock on the schedule's row, in one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from apps.common.ids import uuid7
from apps.workflows.store.clock import heard
from apps.workflows.store.database import Transaction

BATCH = 200
PRUNED = 5_000

_DUE = """
select id from workflows_schedule where enabled and next_fire_at <= clock_timestamp()
union
select schedule_id from workflows_schedulefire f where f.is_open and f.outcome = 'queued' and not exists (
    select from workflows_schedulefire g join workflows_run r on r.id = g.run_id
    where g.schedule_id = f.schedule_id and g.is_open and r.status in ('pending', 'running', 'waiting', 'paused'))
limit %(limit)s
"""
_LOCK = """
select s.id, s.organization_id, s.name, s.cron, s.timezone, s.input, s.version, s.enabled, s.catch_up, s.overlap,
    s.next_fire_at, w.id as workflow_id, w.name as workflow, w.archived_at is not null as archived,
    v.id as version_id, clock_timestamp() as now
from workflows_schedule s join workflows_workflow w on w.id = s.workflow_id
left join workflows_workflowversion v on v.workflow_id = w.id
    and v.number = coalesce(s.version, w.published_version, w.latest_version)
where s.id = %(schedule)s for update of s
"""
_SKIPPING = " skip locked"  # somebody else is firing it
_ADD = """
insert into workflows_schedulefire (id, organization_id, schedule_id, scheduled_for, outcome, reason, run_id, is_open,
    fired_by)
values (%(id)s, %(organization)s, %(schedule)s, %(scheduled_for)s, %(outcome)s::text, %(reason)s, %(run)s,
    %(outcome)s::text in ('started', 'queued'), %(by)s)
on conflict (schedule_id, scheduled_for) do nothing returning id
"""
_BEGIN = """
update workflows_schedulefire set outcome = %(outcome)s::text, run_id = %(run)s, reason = %(reason)s,
    is_open = %(outcome)s::text = 'started'
where id = %(id)s
"""
# A run that has been deleted has ended, too.
_CLOSE = """
update workflows_schedulefire f set is_open = false
where f.schedule_id = %(schedule)s and f.is_open and f.outcome = 'started' and not exists (
    select from workflows_run r where r.id = f.run_id and r.status in ('pending', 'running', 'waiting', 'paused'))
"""
_OPEN = """
select id, outcome, scheduled_for from workflows_schedulefire where schedule_id = %(schedule)s and is_open
order by scheduled_for
"""
_MOVE = "update workflows_schedule set next_fire_at = %(next)s where id = %(schedule)s and enabled"
_PAUSE = """
update workflows_schedule set enabled = false, next_fire_at = null, paused_reason = %(reason)s,
    updated_at = clock_timestamp()
where id = %(schedule)s and enabled
"""
_DROP_QUEUED = """
update workflows_schedulefire set outcome = 'skipped', is_open = false, reason = %(reason)s
where schedule_id = %(schedule)s and is_open and outcome = 'queued'
"""
_PRUNE = """
delete from workflows_schedulefire where id in (
    select id from workflows_schedulefire
    where not is_open and created_at < clock_timestamp() - make_interval(days => %(days)s) limit %(limit)s)
returning id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSchedule:
    """A locked schedule, with what it would run now."""

    id: UUID
    organization_id: UUID
    name: str
    cron: str
    timezone: str
    input: dict[str, Any]
    version: int | None
    enabled: bool
    catch_up: str
    overlap: str
    next_fire_at: datetime | None
    workflow_id: UUID
    workflow: str
    archived: bool
    version_id: UUID | None  # None: there is no such version
    now: datetime


@dataclass(frozen=True, slots=True)
class OpenFire:
    """A fire that waits, or whose run goes on."""

    id: UUID
    outcome: str
    scheduled_for: datetime


def due(tx: Transaction) -> list[UUID]:
    """Schedules whose time has come, and those of which a run that waited may begin."""
    return list(tx.values(_DUE, limit=BATCH))


def lock(tx: Transaction, schedule: UUID, *, wait: bool = False) -> DueSchedule | None:
    """The schedule, locked; None when there is none, or when somebody else has it and `wait` is not wanted."""
    row = tx.row(_LOCK if wait else _LOCK.rstrip() + _SKIPPING, schedule=schedule)
    if row is None:
        return None
    heard(row["now"])
    return DueSchedule(**row | {"input": orjson.loads(row["input"])})


def add_fire(
    tx: Transaction,
    schedule: DueSchedule,
    scheduled_for: datetime,
    *,
    outcome: str,
    run: UUID | None = None,
    reason: str = "",
    by: str = "",
) -> bool:
    """Notes what came of a time; False when that has been noted before."""
    values = {"outcome": outcome, "run": run, "reason": reason, "by": by}
    owner = {"organization": schedule.organization_id, "schedule": schedule.id}
    return tx.value(_ADD, id=uuid7(), scheduled_for=scheduled_for, **owner, **values) is not None


def begin_fire(tx: Transaction, fire: UUID, *, outcome: str, run: UUID | None = None, reason: str = "") -> None:
    """Notes what came of a fire that has waited."""
    tx.execute(_BEGIN, id=fire, outcome=outcome, run=run, reason=reason)


def open_fires(tx: Transaction, schedule: UUID) -> list[OpenFire]:
    """The fires that wait or whose run goes on, in order; those whose run has ended are closed."""
    tx.execute(_CLOSE, schedule=schedule)
    return [OpenFire(**row) for row in tx.rows(_OPEN, schedule=schedule)]


def move(tx: Transaction, schedule: UUID, next_fire_at: datetime) -> None:
    """Says when it fires next."""
    tx.execute(_MOVE, schedule=schedule, next=next_fire_at)


def pause(tx: Transaction, schedule: UUID, reason: str) -> None:
    """Fires no more until somebody resumes it; what waited to begin is dropped."""
    tx.execute(_PAUSE, schedule=schedule, reason=reason)
    tx.execute(_DROP_QUEUED, schedule=schedule, reason=reason)


def forget(tx: Transaction, days: int) -> int:
    """Deletes fires that are older and of which nothing goes on; gives how many, of a bounded batch."""
    return len(tx.values(_PRUNE, days=days, limit=PRUNED))


def places(fires: Iterable[OpenFire], outcome: str) -> list[OpenFire]:
    """Those of the fires with this outcome."""
    return [fire for fire in fires if fire.outcome == outcome]
