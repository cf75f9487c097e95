"""The list of workflows, with how each has been doing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.db.models import F, OuterRef, Q, Subquery

from apps.common.fields import JSONTextField
from apps.common.ids import short_id
from apps.common.pagination import Page, page_of_rows
from apps.workflows import selectors
from apps.workflows.engine.spec import canonical_document
from apps.workflows.models import Draft, Schedule, Workflow, WorkflowVersion

ROWS = 50
BY_NAME = {"name": ("name", "id")}
# Of each workflow the newest hundred runs: what its rate and its pace are counted from, found in an index.
_RECORDS = """
select w.id, count(*) filter (where r.status = 'completed'),
    count(*) filter (where r.status in ('completed', 'failed')),
    percentile_cont(0.95) within group (order by extract(epoch from r.finished_at - r.started_at))
        filter (where r.status = 'completed'),
    (array_agg(r.id order by r.created_at desc, r.id desc))[1:10],
    (array_agg(r.status order by r.created_at desc, r.id desc))[1:10]
from unnest(%(workflows)s::uuid[]) as w (id) cross join lateral (
    select id, status, created_at, started_at, finished_at from workflows_run
    where workflow_id = w.id order by created_at desc, id desc limit 100) r
group by w.id
"""


@dataclass(frozen=True, slots=True)
class Dot:
    """One of the last runs."""

    id: UUID
    status: str

    @property
    def short(self) -> str:
        """Give the ending of the id that people see."""
        return short_id(self.id)


@dataclass(frozen=True, slots=True)
class Record:
    """How a workflow has been doing, by its newest hundred runs."""

    dots: Sequence[Dot] = ()  # the oldest first
    success: int | None = None  # percent of what has ended, cancelled runs aside
    p95: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A workflow as the list shows it."""

    workflow: Workflow
    record: Record
    schedules: Sequence[Schedule]
    has_draft: bool  # that differs from the newest version

    @property
    def label(self) -> str:
        """Give what people call it."""
        return self.workflow.title or self.workflow.name


def page(search: str, cursor: str | None) -> Page[Workflow]:
    """Give one page of the workflows whose name or title has this in it, by name."""
    found = selectors.workflows().filter(Q(name__icontains=search) | Q(title__icontains=search))
    return page_of_rows(found, sort="name", sorts=BY_NAME, cursor=cursor, limit=ROWS)


def rows(workflows: Sequence[Workflow]) -> list[Row]:
    """Give workflows as the list shows them, in three queries."""
    ids = [workflow.pk for workflow in workflows]
    found, drafts, times = records(ids), _with_drafts(ids), _schedules(ids)
    return [Row(one, found.get(one.pk, Record()), times.get(one.pk, ()), one.pk in drafts) for one in workflows]


def records(workflows: Iterable[UUID]) -> Mapping[UUID, Record]:
    """Give how these workflows of the current organization have been doing; none for those that never ran."""
    with connection.cursor() as cursor:
        cursor.execute(_RECORDS, {"workflows": list(workflows)})
        return {row[0]: _record(*row[1:]) for row in cursor.fetchall()}


def _record(completed: int, ended: int, p95: float | None, ids: list[UUID], statuses: list[str]) -> Record:
    dots = [Dot(*pair) for pair in zip(reversed(ids), reversed(statuses), strict=True)]
    success = completed * 100 // ended if ended else None
    return Record(dots, success, None if p95 is None else timedelta(seconds=float(p95)))


def _with_drafts(workflows: list[UUID]) -> set[UUID]:
    newest = WorkflowVersion.objects.filter(
        workflow=OuterRef("workflow"), number=OuterRef("workflow__latest_version")
    ).values("document")[:1]
    drafts = Draft.objects.filter(workflow__in=workflows).annotate(newest=Subquery(newest, JSONTextField()))
    # The same may be written in another order, which only reading it tells.
    written = drafts.exclude(document=F("newest")).values_list("workflow", "document", "newest")
    return {workflow for workflow, document, newest in written if canonical_document(document) != newest}


def _schedules(workflows: list[UUID]) -> dict[UUID, list[Schedule]]:
    found: dict[UUID, list[Schedule]] = {}
    for schedule in Schedule.objects.filter(workflow__in=workflows, enabled=True).order_by("next_fire_at"):
        found.setdefault(schedule.workflow_id, []).append(schedule)
    return found
