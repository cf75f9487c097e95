"""Reading workflows and runs, within the organization of the current scope."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import (
    Case,
    Count,
    F,
    Func,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Now

from apps.accounts.models import Organization
from apps.common.database import first_row
from apps.common.errors import NotFound
from apps.common.selectors import find_by_id
from apps.observability.models import LogLine, Usage
from apps.workflows.engine.states import NODE_ENDED, NodeStatus, RunStatus
from apps.workflows.models import (
    Approval,
    Attempt,
    ContextEntry,
    Effect,
    NodeRun,
    OfferedWorkflow,
    Run,
    RunEvent,
    Schedule,
    ScheduleFire,
    Worker,
    Workflow,
    WorkflowVersion,
)

DRAFT_LABEL = "draft"  # the id of the workflow whose draft the builder runs
TASK = "task"  # the trigger of a run that was started as a task
GOING_ON = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)


def workflows() -> QuerySet[Workflow]:
    """The workflows that are not archived."""
    return Workflow.objects.filter(archived_at=None)


def workflow_of_draft(run: Run) -> Workflow | None:
    """The workflow whose draft a run has tried, as the builder has noted with it."""
    if run.workflow_id is not None or DRAFT_LABEL not in run.labels:
        return None
    try:
        noted = UUID(run.labels[DRAFT_LABEL])
    except ValueError:  # a label that somebody else gave
        return None
    return workflows().filter(pk=noted).first()


def find_workflow(ref: str) -> Workflow:
    """The workflow with this name or id; raises NotFound."""
    named = workflows().filter(name=ref).first()
    if named is not None:
        return named
    try:
        return find_by_id(workflows(), ref)
    except NotFound:
        raise NotFound(f"There is no workflow '{ref[:80]}'.", code="workflow_not_found") from None


def offers() -> QuerySet[OfferedWorkflow]:
    """The workflows that other people's programs may run: switched on, published, and not archived."""
    shown = OfferedWorkflow.objects.filter(workflow__archived_at=None, workflow__published_version__isnull=False)
    return shown.select_related("workflow").order_by("name")


def offer_of(workflow: Workflow) -> OfferedWorkflow | None:
    """How a workflow is offered to programs; None where it is not."""
    return OfferedWorkflow.objects.filter(workflow=workflow).first()


_TO_RUN = """
select v.id, v.workflow_id, v.number from workflows_workflow w
join workflows_workflowversion v on v.workflow_id = w.id
    and v.number = coalesce(%(number)s::int, w.published_version, w.latest_version)
where w.organization_id = %(organization)s and w.archived_at is null and w.name = %(name)s
"""


def version_to_run(organization: Organization, name: str, number: int | None) -> WorkflowVersion | None:
    """The version that runs when a workflow is named, in one query and without its document; None where none fits."""
    row = first_row(_TO_RUN, organization=organization.pk, name=name, number=number)
    return WorkflowVersion.from_db(None, ["id", "workflow_id", "number"], row) if row else None


def runs() -> QuerySet[Run]:
    """All runs with what every view of a run shows."""
    return Run.objects.select_related("workflow", "version", "fire")


def find_run(ref: str | UUID) -> Run:
    """The run with this id or unique ending of one; raises NotFound."""
    return find_by_id(runs(), ref)


def find_run_of(organization: Organization, ref: str) -> Run:
    """The same in one organization, for callers outside of its scope; raises NotFound."""
    return find_by_id(runs().filter(organization=organization), ref)


def tasks() -> QuerySet[Run]:
    """The runs that were started as tasks: a goal, planned and run in one call."""
    return runs().filter(trigger=TASK)


def find_task(ref: str) -> Run:
    """The task with this id or unique ending of one, which is its run's; raises NotFound."""
    try:
        return find_by_id(tasks(), ref)
    except NotFound:
        raise NotFound(f"There is no task '{ref[:80]}'.", code="task_not_found") from None


def progress(run: Run) -> tuple[int, int]:
    """How many of the run's nodes have ended, and how many there are."""
    ended = NodeRun.objects.filter(run=run, index=-1, status__in=NODE_ENDED)
    total = len(run.version.document["nodes"])
    if run.status == RunStatus.COMPLETED:
        return total, total
    return ended.values("node").distinct().count(), total


def with_usage(found: QuerySet[Run]) -> QuerySet[Run]:
    """The same runs, each with what its calls of language models came to.

    `usage_cost`, `usage_tokens`, and `usage_unpriced`: of how many nobody knows the price.
    """
    calls = Usage.objects.filter(run_id=OuterRef("pk")).exclude(outcome=Usage.Outcome.CACHED)
    by_run = calls.order_by().values("run_id")
    cost = by_run.annotate(sum=Sum("cost_micro_usd")).values("sum")
    tokens = by_run.annotate(sum=Sum(F("input_tokens") + F("output_tokens"))).values("sum")
    unpriced = by_run.annotate(sum=Count("pk", filter=Q(is_priced=False))).values("sum")
    sums = {"usage_cost": cost, "usage_tokens": tokens, "usage_unpriced": unpriced}
    return found.annotate(**{name: Coalesce(Subquery(each), 0) for name, each in sums.items()})


def pause_of(run: Run) -> dict[str, Any]:
    """What was said when the run was last paused."""
    told = events(run).filter(type="run.paused").last()
    return told.data if told else {}


def filtered_runs(filters: dict[str, Any]) -> QuerySet[Run]:
    """Runs by workflow (name or id), status, trigger, label (`key:value`) and time."""
    found = with_usage(runs())
    if filters.get("workflow"):
        found = found.filter(workflow=find_workflow(filters["workflow"]))
    if filters.get("status"):
        found = found.filter(status__in=filters["status"])
    if filters.get("trigger"):
        found = found.filter(trigger=filters["trigger"])
    for label in filters.get("label") or ():
        key, _, value = label.partition(":")
        found = found.filter(labels__contains={key: value})
    if filters.get("created_after"):
        found = found.filter(created_at__gt=filters["created_after"])
    if filters.get("created_before"):
        found = found.filter(created_at__lt=filters["created_before"])
    return found


def has_living_workers() -> bool:
    """Whether a worker has shown itself within a lease: when the last one dies nobody is left to say so."""
    lease = timedelta(seconds=settings.ORCHESTRA_LEASE_SECONDS)
    return Worker.objects.filter(stopped_at=None, heartbeat_at__gt=Now() - lease).exists()


def missing_handlers(wanted: Collection[str]) -> set[str]:
    """Those of the handlers that no living worker has; a worker from before handlers had names has the bare types."""
    lists = list(Worker.objects.filter(stopped_at=None).values_list("handlers", flat=True))
    unnamed = {handler for handler in wanted if ":" not in handler and [] in lists}
    return set(wanted) - unnamed - {handler for handlers in lists for handler in handlers}


def count_going_on(most: int) -> int:
    """How many runs have not ended; counted up to `most`."""
    return Run.objects.filter(status__in=GOING_ON)[:most].count()  # PostgreSQL 18 skips to each in `run_by_status`


_PENDING = """
select count(*) from (
    select 1 from workflows_run where organization_id = %(organization)s and status = 'pending' limit %(most)s) as found
"""


def count_pending(organization: UUID, most: int) -> int:
    """How many runs of an organization wait to begin; counted up to `most`, in an index."""
    row = first_row(_PENDING, organization=organization, most=most)
    return int(row[0]) if row else 0


def node_runs(run: Run) -> QuerySet[NodeRun]:
    """The node runs of a run with their attempts, in the order in which they were queued."""
    attempts = Prefetch("attempts", queryset=Attempt.objects.order_by("fence"))
    return NodeRun.objects.filter(run=run).prefetch_related(attempts)


def degraded_node_runs(run: Run) -> list[NodeRun]:
    """The node runs of a run whose answer came from a step of their node's `degrade`."""
    found = NodeRun.objects.filter(run=run, status=NodeStatus.COMPLETED, state__contains="degraded")
    columns = found.order_by("created_at", "id").only("run", "node", "visit", "index", "state")
    return [node for node in columns if "degraded" in node.state]


def degraded_runs(runs: Collection[UUID]) -> set[UUID]:
    """Those of these runs in which an answer came from a step of a node's `degrade`, in one query.

    Only the node runs of versions that have such steps are read, and of forks, which may have taken one over.
    """
    may = Q(version__document__contains="degrade") | Q(forked_from__isnull=False)
    found = NodeRun.objects.filter(run__in=Run.objects.filter(may, pk__in=runs), status=NodeStatus.COMPLETED)
    facts = Func("state", template="%(expressions)s::json -> 'degraded'", output_field=TextField())
    known = found.filter(state__contains="degraded").annotate(facts=facts).filter(facts__isnull=False)
    return set(known.values_list("run_id", flat=True).distinct())


def events(run: Run, after: int = 0) -> QuerySet[RunEvent]:
    """The events of a run after a number, in order."""
    return RunEvent.objects.filter(run=run, seq__gt=after).order_by("seq")


def context_entries(run: Run) -> QuerySet[ContextEntry]:
    """Every write to the run's context, in the order in which they count."""
    return ContextEntry.objects.filter(run=run).order_by("key", "rank", "seq")


def log_lines(run: Run, *, search: str = "", level: str = "", node: str = "") -> QuerySet[LogLine]:
    """The log of a run, newest last."""
    found = LogLine.objects.filter(run_id=run.pk)
    if search:
        found = found.filter(message__icontains=search)
    if level:
        found = found.filter(level=level)
    if node:
        found = found.filter(node=node)
    return found


def approvals(*, statuses: Sequence[str] = (Approval.Status.OPEN,)) -> QuerySet[Approval]:
    """Questions to people, by status."""
    return Approval.objects.filter(status__in=statuses).select_related("run", "node_run")


def approvals_for(username: str) -> QuerySet[Approval]:
    """The open questions that name this person."""
    return approvals().filter(assignees__contains=[username])


def approvals_of_step(approval: Approval) -> QuerySet[Approval]:
    """The questions of the same step: those of one node of one workflow, or of one inline definition."""
    run = approval.run
    same = Q(run__workflow=run.workflow_id) if run.workflow_id else Q(run__version=run.version_id)
    found = Approval.objects.select_related("run", "node_run")
    return found.filter(same, node_run__node=approval.node_run.node)


def count_open_approvals(most: int = 100) -> int:
    """How many questions wait for somebody; counted up to `most`."""
    return Approval.objects.filter(status=Approval.Status.OPEN).order_by()[:most].count()


def find_approval(ref: str) -> Approval:
    """The approval with this id or unique ending of one; raises NotFound."""
    return find_by_id(Approval.objects.select_related("run", "node_run"), ref)


def versions(workflow: Workflow) -> QuerySet[WorkflowVersion]:
    """The versions of a workflow."""
    return WorkflowVersion.objects.filter(workflow=workflow)


def effects(run: Run | None = None) -> QuerySet[Effect]:
    """Outgoing calls, of a run or all; `known` is their state as far as anybody can tell.

    A call that was `sent` by an attempt that has ended without an answer is unknown, though nobody was left to say so.
    """
    abandoned = Q(state=Effect.State.SENT, node_run__status__in=[*NODE_ENDED])
    known = Case(When(abandoned, then=Value(Effect.State.UNKNOWN.value)), default=F("state"))
    found = Effect.objects.select_related("run", "node_run").annotate(known=known)
    return found if run is None else found.filter(run=run)


def find_effect(ref: str) -> Effect:
    """The effect with this id or unique ending of one; raises NotFound."""
    return find_by_id(effects(), ref)


def effects_known_as(found: QuerySet[Effect], states: Sequence[str]) -> QuerySet[Effect]:
    """Those of the effects whose state is one of these."""
    stored = {*states} | ({Effect.State.SENT} if Effect.State.UNKNOWN in states else set())
    known = Q(("known__in", states))  # the annotation of `effects`
    return found.filter(known, state__in=stored)  # the second half is what an index can use


def schedules() -> QuerySet[Schedule]:
    """All schedules, with what every view of one shows."""
    return Schedule.objects.select_related("workflow")


def find_schedule(ref: str | UUID) -> Schedule:
    """The schedule with this name, or this id or unique ending of one; raises NotFound."""
    named = schedules().filter(name=str(ref)).first()
    return find_by_id(schedules(), ref) if named is None else named


def fires(schedule: Schedule) -> QuerySet[ScheduleFire]:
    """The times of a schedule that have come, and what came of each."""
    return ScheduleFire.objects.filter(schedule=schedule)


def visits(run: Run) -> QuerySet[NodeRun]:
    """The visits of a run's nodes with their attempts, in the order in which they were queued; without large values."""
    return node_runs(run).filter(index=-1).defer("input", "output").order_by("created_at", "id")


def progress_of(run: Run, node_runs: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """What was told last of how far these node runs are; nothing of one that somebody has begun anew since."""
    types = ("node.progress", "node.started", "node.waiting")
    found = RunEvent.objects.filter(run=run, type__in=types, node_run_id__in=node_runs)
    last = found.order_by("node_run_id", "-seq").distinct("node_run_id").values_list("node_run_id", "type", "data")
    return {node_run: data for node_run, kind, data in last if node_run and kind == "node.progress"}


def lost_items(run: Run) -> QuerySet[NodeRun]:
    """The items of maps of which an attempt died with its worker, the latest first, with their attempts."""
    return node_runs(run).filter(index__gte=0, lost_count__gt=0).defer("input", "output").order_by("-created_at", "-id")


def item_counts(run: Run) -> dict[tuple[str, int], dict[str, int]]:
    """For each visit of a map how many of its items stand where."""
    counts: dict[tuple[str, int], dict[str, int]] = {}
    found = NodeRun.objects.filter(run=run, index__gte=0).values_list("node", "visit", "status")
    for node, visit, status, count in found.annotate(count=Count("pk")).order_by():
        counts.setdefault((node, visit), {})[status] = count
    return counts


def edges_taken(run: Run) -> Counter[int]:
    """How often the run has taken each edge, by the edge's number."""
    told = RunEvent.objects.filter(run=run, type="edge.taken").values_list("data", flat=True)
    return Counter(facts["edge"] for facts in told)
