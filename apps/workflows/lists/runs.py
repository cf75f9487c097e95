"""The list of runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Left

from apps.common import json
from apps.common.clock import now
from apps.common.errors import BadRequest, NotFound
from apps.common.ids import short_id
from apps.common.pagination import Page, page_of_rows
from apps.common.selectors import FULL_LENGTH, find_by_id
from apps.observability.selectors import usage
from apps.observability.selectors.usage import Sums
from apps.workflows import selectors
from apps.workflows.engine.states import RUN_ENDED, RunStatus
from apps.workflows.lists.query import WORD, RunQuery
from apps.workflows.models import NodeRun, Run, Workflow, WorkflowVersion

ROWS = 50
MOST_COUNTED = 1_000  # of one status; more are shown as `1,000+`
MOST_NEW = 99  # runs that the note above the list counts
MOST_WORKFLOWS = 1_000  # that a word in the filter may mean
GLIMPSE = 400  # characters of an input
_SHOWN = (
    "status", "name", "error", "trigger", "created_by", "created_at", "started_at", "finished_at", "labels",
    "nesting", "workflow__name", "workflow__title", "version__number",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A run as the list shows it."""

    id: UUID
    status: RunStatus
    workflow: str
    version: int | None
    workflow_ref: str | None  # None: a definition that was not saved as a workflow
    created_at: datetime
    took: timedelta | None
    message: str  # why it failed
    node: str  # where
    glimpse: str  # of its input
    trigger: str
    by: str
    is_degraded: bool  # an answer is not that of the agent which should have given it
    spent: Sums | None  # on language models; None where it has asked none

    @property
    def short(self) -> str:
        """Give the ending of the id that people see."""
        return short_id(self.id)

    @property
    def is_open(self) -> bool:
        """Tell whether it has not ended, so that the row may still change."""
        return self.status not in RUN_ENDED


def matching(query: RunQuery) -> QuerySet[Run]:
    """Give the runs of a filter without faults; raises NotFound for a workflow or an id that does not exist."""
    found = Run.objects.filter(_condition(query))
    if statuses := query.statuses:
        found = found.filter(status__in=statuses)
    return found


def page(query: RunQuery, cursor: str | None) -> Page[Run]:
    """Give one page, the newest first."""
    found = matching(query).select_related("workflow", "version").only(*_SHOWN)
    return page_of_rows(found.annotate(glimpse=Left("input", GLIMPSE)), cursor=cursor, limit=ROWS)


def latest(workflow: Workflow, most: int) -> list[Row]:
    """Give the newest runs of a workflow."""
    found = Run.objects.filter(workflow=workflow).select_related("workflow", "version").only(*_SHOWN)
    return rows(found.annotate(glimpse=Left("input", GLIMPSE)).order_by("-created_at", "-id")[:most])


def counts(query: RunQuery) -> Mapping[str, int]:
    """Give how many runs of each status there are beside the filter's own; counted up to `MOST_COUNTED`.

    With a filter by node there are none: whether a node was there is looked up for each run.
    """
    if query.values("node"):
        return {}
    found = Run.objects.filter(_condition(query))
    return {status: found.filter(status=status)[:MOST_COUNTED].count() for status in RunStatus}


def count_newer(query: RunQuery, than: UUID | None) -> int:
    """Give how many runs have come since this one, or at all; counted up to `MOST_NEW`."""
    found = matching(query)
    seen = Run.objects.filter(pk=than).values_list("created_at", "pk").first() if than else None
    if seen:
        later = Q(created_at__gt=seen[0]) | Q(pk__gt=seen[1])
        found = found.filter(later, created_at__gte=seen[0])
    return found[:MOST_NEW].count()


def rows_of(ids: Iterable[UUID]) -> list[Row]:
    """Give these runs as they are now, for rows that somebody looks at."""
    found = Run.objects.filter(pk__in=list(ids)).select_related("workflow", "version").only(*_SHOWN)
    return rows(found.annotate(glimpse=Left("input", GLIMPSE)))


def rows(runs: Iterable[Run]) -> list[Row]:
    """Give runs as the list shows them."""
    moment, found = now(), list(runs)
    spent = usage.of_runs(run.pk for run in found)
    degraded = selectors.degraded_runs([run.pk for run in found])
    return [_row(run, moment, spent.get(run.pk), is_degraded=run.pk in degraded) for run in found]


def _row(run: Run, moment: datetime, spent: Sums | None, *, is_degraded: bool) -> Row:
    error: Any = run.error if isinstance(run.error, dict) else {}
    began = run.started_at
    return Row(
        id=run.pk,
        status=RunStatus(run.status),
        workflow=(run.workflow.title if run.workflow else "") or run.name,
        version=run.version.number if run.workflow else None,
        workflow_ref=run.workflow.name if run.workflow else None,
        created_at=run.created_at,
        took=max((run.finished_at or moment) - began, timedelta()) if began else None,
        message=str(error.get("message", "")),
        node=str(error.get("node", "")),
        glimpse=glimpse_of(getattr(run, "glimpse", "")),
        trigger=run.trigger,
        by=who(run.created_by),
        is_degraded=is_degraded,
        spent=spent,
    )


def glimpse_of(text: str) -> str:
    """Say in one line what stands in the beginning of a run's input: `topic: heat pumps · days: 3`."""
    if not text or text.startswith('{"$'):
        return ""  # the second kind is kept elsewhere, for its size
    try:
        value = json.loads(text)
    except BadRequest:  # cut off
        return text.lstrip("{").replace('":', ": ").replace('"', "") + " …"
    return " · ".join(f"{name}: {_short(inner)}" for name, inner in value.items()) if isinstance(value, dict) else ""


def who(created_by: str) -> str:
    """Name whom a run was started by: a person by name, a program as what it is."""
    kind, _, name = created_by.partition(":")
    return {"user": name, "key": "API key"}.get(kind, "")


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).decode()


def _condition(query: RunQuery) -> Q:
    """Give everything that a filter asks but the status."""
    moment = now()
    condition = Q()
    if name := query.one("workflow"):
        condition &= Q(workflow__in=_workflows(name))
    if since := query.moment("since", moment):
        condition &= Q(created_at__gte=since)
    if until := query.moment("until", moment):
        condition &= Q(created_at__lt=until)
    if trigger := query.one("trigger"):
        condition &= Q(trigger=trigger)
    for label in query.values("label"):
        key, _, value = label.partition(":")
        condition &= Q(labels__contains={key: value})
    for node in query.values("node"):
        condition &= _with_node(node)
    if ref := query.one("id"):
        condition &= Q(pk=_run_id(ref))
    for word in query.values(WORD):
        condition &= _about(word)
    return condition


def _workflows(name: str) -> list[UUID]:
    """Give the workflows of this name or title, archived ones too; their ids, so that the runs' index is used."""
    called = Workflow.objects.filter(Q(name=name) | Q(title=name))
    found = list(called.values_list("pk", flat=True)[:MOST_WORKFLOWS])
    if not found:
        raise NotFound(f"There is no workflow '{name[:80]}'.", code="workflow_not_found")
    return found


def _with_node(node: str) -> Q:
    """Give the runs that have come to a node; a version without it need not be looked at."""
    versions = WorkflowVersion.objects.filter(document__contains=node).values("pk")  # the name as JSON writes it
    return Q(version__in=versions) & Q(Exists(NodeRun.objects.filter(run=OuterRef("pk"), node=node)))


def _run_id(ref: str) -> UUID:
    if len(ref.replace("-", "")) == FULL_LENGTH:
        return UUID(ref)
    return find_by_id(Run.objects.only("id"), ref).pk


def _about(word: str) -> Q:
    """Give the runs of workflows whose name or title has this in it, or the run whose id ends so."""
    called = Workflow.objects.filter(Q(name__icontains=word) | Q(title__icontains=word))
    ids: Sequence[UUID] = list(called.values_list("pk", flat=True)[:MOST_WORKFLOWS])
    return Q(workflow__in=ids) if ids else Q(pk__in=_ending(word))


def _ending(word: str) -> list[UUID]:
    try:
        return [find_by_id(Run.objects.only("id"), word).pk]
    except NotFound:
        return []
