"""What the home page says of an organization, each part in one query."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from apps.common import json, redis
from apps.workflows.engine.states import RUN_ENDED, RunStatus
from apps.workflows.models import Worker

BARS = 48
BAR = timedelta(minutes=30)
STRIP_SECONDS = 10  # a process remembers it for so long: it is the one part that counts every run of a day
STUCK_SECONDS = 30.0  # nobody has taken what could be executed for so long
MOST = 100  # of what needs somebody; more are shown as `100+`

_NEEDS = """
select
    (select count(*) from (select 1 from workflows_approval
        where organization_id = %(organization)s and status = 'open' limit %(most)s) a),
    (select count(*) from (select 1 from workflows_run
        where organization_id = %(organization)s and status = 'failed' and created_at >= %(since)s limit %(most)s) r),
    (select count(*) from (select 1 from workflows_effect e join workflows_noderun n on n.id = e.node_run_id
        where e.organization_id = %(organization)s and e.state in ('sent', 'unknown')
            and (e.state = 'unknown' or n.status in ('completed', 'failed', 'cancelled')) limit %(most)s) e),
    exists (select 1 from workflows_run
        where organization_id = %(organization)s and not labels @> '{"demo": "first-run"}'),
    exists (select 1 from workflows_workflowversion
        where organization_id = %(organization)s and workflow_id is not null and created_by <> 'demo'),
    exists (select 1 from accounts_apikey where organization_id = %(organization)s and last_used_at is not null),
    coalesce(m.name, ''),
    m.created_at > clock_timestamp() - interval '7 days' and not exists (select 1 from observability_usage
        where organization_id = %(organization)s and model = m.name and run_id is not null)
from (select 1) one left join integrations_modelsetting m on m.organization_id = %(organization)s and m.is_default
"""
# `date_bin` counts in whole microseconds, several times as fast as arithmetic on what `extract` gives.
_STRIP = """
select date_bin(%(bar)s, created_at, %(start)s) as since, status, count(*)
from workflows_run where organization_id = %(organization)s and created_at >= %(start)s
group by 1, 2
"""
_FAILING = """
select f.name, coalesce(nullif(w.title, ''), f.name), f.count, f.last, f.error,
    w.id is not null and w.archived_at is null
from (
    select workflow_id, name, count(*) as count, (array_agg(id order by created_at desc))[1] as last,
        (array_agg(error order by created_at desc))[1] as error, max(created_at) as at
    from (select workflow_id, name, id, error, created_at from workflows_run
        where organization_id = %(organization)s and status = 'failed' and created_at >= %(start)s
        order by created_at desc, id desc limit 500) newest
    group by workflow_id, name order by max(created_at) desc limit 6) f
left join workflows_workflow w on w.id = f.workflow_id order by f.at desc
"""
_RECENT = """
select w.name, coalesce(nullif(w.title, ''), w.name), r.id, r.status, r.created_at
from workflows_workflow w left join lateral (
    select id, status, created_at from workflows_run where workflow_id = w.id
    order by created_at desc, id desc limit 1) r on true
where w.organization_id = %(organization)s and w.archived_at is null
order by r.created_at desc nulls last, w.created_at desc limit 6
"""
_QUEUE = """
select count(*), extract(epoch from clock_timestamp() - min(available_at))::float8 from (
    select available_at from workflows_noderun
    where organization_id = %(organization)s and status in ('queued', 'retrying')
        and available_at <= clock_timestamp() limit 10000) q
"""


@dataclass(frozen=True, slots=True)
class Needs:
    """What waits for a person, and what a newcomer has done."""

    approvals: int
    failed: int
    unknown: int
    has_run: bool
    has_own: bool
    has_called: bool
    model: str  # the default; empty where there is none but the demo model
    is_fresh: bool | None  # it was set up lately, and no run has asked it yet

    @property
    def offers_demo(self) -> bool:
        """Tell whether somebody who saw the demo may want to see it again with the model that they have now."""
        return self.has_run and bool(self.is_fresh)

    @property
    def is_new(self) -> bool:
        """Tell whether somebody is still finding their way."""
        return not (self.has_run and self.model and self.has_own and self.has_called) or self.offers_demo


@dataclass(slots=True)
class Bar:
    """Half an hour of runs."""

    since: datetime
    until: datetime
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Give how many runs began then."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """Give how many of them have failed."""
        return self.counts.get(RunStatus.FAILED, 0)

    @property
    def going_on(self) -> int:
        """Give how many of them have not ended."""
        return sum(count for status, count in self.counts.items() if status not in RUN_ENDED)


@dataclass(frozen=True, slots=True)
class Failing:
    """A workflow whose runs fail."""

    name: str
    label: str
    count: int
    last: UUID
    message: str
    is_saved: bool  # there is a page of it


@dataclass(frozen=True, slots=True)
class Recent:
    """A workflow that ran lately."""

    name: str
    label: str
    run: UUID | None
    status: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that has to work."""

    name: str
    text: str
    is_well: bool


def needs(organization: UUID, since: datetime) -> Needs:
    """Give what waits for a person; failed runs count from `since` on."""
    return Needs(*_rows(_NEEDS, organization=organization, since=since, most=MOST)[0])


def strip(organization: UUID, now: datetime) -> list[Bar]:
    """Give the last 24 hours in half hours, the oldest first."""
    start = _beginning(now)
    bars = [Bar(start + BAR * number, start + BAR * (number + 1)) for number in range(BARS)]
    key = f"home:strip:{organization}:{start.timestamp():.0f}"
    found = cache.get_or_set(key, lambda: _rows(_STRIP, organization=organization, start=start, bar=BAR), STRIP_SECONDS)
    for since, status, count in found or ():
        bars[min((since - start) // BAR, BARS - 1)].counts[status] = count
    return bars


def failing(organization: UUID, now: datetime) -> list[Failing]:
    """Give the workflows that failed in these hours, those that failed last first."""
    return [
        Failing(name, label, count, last, _message(error), is_saved)
        for name, label, count, last, error, is_saved in _rows(
            _FAILING, organization=organization, start=_beginning(now)
        )
    ]


def recent(organization: UUID) -> list[Recent]:
    """Give the workflows that ran last, then those that never ran."""
    return [Recent(*row) for row in _rows(_RECENT, organization=organization)]


def health(organization: UUID) -> list[Fact]:
    """Give whether everything works that runs need; that the page is there says it of the web and the database."""
    lease = timedelta(seconds=settings.ORCHESTRA_LEASE_SECONDS)
    lives = Q(heartbeat_at__gt=Now() - lease)
    seen = list(Worker.objects.filter(stopped_at=None).annotate(lives=lives).values_list("lives", "leads_recovery"))
    alive = [leads for is_alive, leads in seen if is_alive]
    waiting, oldest = _rows(_QUEUE, organization=organization)[0]
    answers = bool(redis.ask(lambda client: client.ping()))
    return [
        Fact("Web", "ok", True),
        Fact("Workers", f"{len(alive)}/{len(seen)}" if seen else "none", bool(alive) and len(alive) == len(seen)),
        Fact("Leader", "ok" if any(alive) else "none", any(alive)),
        Fact("Queue", f"{waiting:,}" + (f", oldest {oldest:.0f} s" if waiting else ""), (oldest or 0) < STUCK_SECONDS),
        Fact("Postgres", "ok", True),
        Fact("Redis", "ok" if answers else "silent", answers),
    ]


def heights(bars: Sequence[Bar], height: int) -> list[tuple[Bar, int, int, int]]:
    """Give each bar with how high it is drawn: what completed or was cancelled, what goes on, what failed."""
    most = max((bar.total for bar in bars), default=0) or 1

    def scaled(count: int) -> int:
        return max(2, round(count / most * height)) if count else 0

    return [
        (bar, scaled(bar.total - bar.failed - bar.going_on), scaled(bar.going_on), scaled(bar.failed)) for bar in bars
    ]


def _beginning(now: datetime) -> datetime:
    seconds = BAR.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, now.tzinfo) - BAR * (BARS - 1)


def _rows(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _message(error: str | None) -> str:
    found: Any = json.loads(error) if error else None
    return str(found.get("message", "")) if isinstance(found, dict) else ""
