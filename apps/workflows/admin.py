"""Operators' pages for workflows and runs: history is shown and not changed, and acts go through the services.

Django imports this whenever it starts, also for a command: the engine is imported when somebody acts.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join

from apps.common.admin import HistoryAdmin, ReadOnlyAdmin
from apps.common.errors import DomainError
from apps.workflows.models import (
    Approval,
    Attempt,
    Blob,
    Circuit,
    ContextEntry,
    Draft,
    Effect,
    JournalEntry,
    NodeRun,
    OfferedWorkflow,
    Run,
    RunEvent,
    SavedView,
    Schedule,
    ScheduleFire,
    Signal,
    Slot,
    Worker,
    Workflow,
    WorkflowVersion,
)

BEGINNING = 10_000  # characters of a large value


@admin.register(Workflow)
class WorkflowAdmin(HistoryAdmin[Workflow]):
    list_display = ["name", "organization", "latest_version", "published_version", "updated_at", "archived_at"]
    list_select_related = ["organization"]
    search_fields = ["name", "title"]
    heavy = ["description"]
    readonly_fields = ["related"]
    actions = ["archive"]

    def view_on_site(self, workflow: Workflow) -> str:
        """Give the page that people see."""
        return reverse("edit_workflow", args=[workflow.pk])

    @admin.display(description="See also")
    def related(self, workflow: Workflow) -> str:
        """Link to what belongs to the workflow."""
        return _links("workflow", workflow, WorkflowVersion, Run)

    @admin.action(description="Archive the selected workflows; their runs stay", permissions=["act"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        """Take workflows out of the lists."""
        from apps.workflows.services.versions import archive_workflow

        _act(request, queryset.filter(archived_at=None), archive_workflow, "archived")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether somebody may change workflows."""
        return request.user.has_perm("workflows.change_workflow")


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(HistoryAdmin[WorkflowVersion]):
    list_display = ["id", "workflow", "number", "dialect", "created_by", "created_at", "organization"]
    list_select_related = ["workflow", "organization"]
    search_fields = ["workflow__name", "digest"]
    ids = ["pk", "workflow_id"]
    heavy = ["document", "source"]


@admin.register(Draft)
class DraftAdmin(HistoryAdmin[Draft]):
    list_display = ["workflow", "revision", "based_on", "updated_by", "updated_at", "organization"]
    list_select_related = ["workflow", "organization"]
    search_fields = ["workflow__name", "updated_by"]
    ids = ["pk", "workflow_id"]
    heavy = ["document", "source", "layout"]


@admin.register(SavedView)
class SavedViewAdmin(HistoryAdmin[SavedView]):
    list_display = ["name", "query", "user", "organization"]
    list_select_related = ["user", "organization"]
    search_fields = ["name", "query"]


@admin.register(OfferedWorkflow)
class OfferedWorkflowAdmin(ReadOnlyAdmin[OfferedWorkflow]):
    list_display = ["name", "workflow", "organization", "created_by", "created_at"]
    list_select_related = ["workflow", "organization"]
    search_fields = ["name", "workflow__name", "organization__slug"]


@admin.register(Run)
class RunAdmin(HistoryAdmin[Run]):
    list_display = ["id", "name", "status", "organization", "trigger", "created_at", "started_at", "finished_at"]
    list_filter = ["status"]
    list_select_related = ["organization"]
    search_fields = ["name"]
    ids = ["pk", "workflow_id", "parent_id", "forked_from_id"]
    heavy = ["input", "output", "marking", "error"]
    readonly_fields = ["related"]
    actions = ["retry", "cancel"]

    def view_on_site(self, run: Run) -> str:
        """Give the page that people see."""
        return reverse("run", args=[run.pk])

    @admin.display(description="See also")
    def related(self, run: Run) -> str:
        """Link to what belongs to the run."""
        return _links("run", run, NodeRun, RunEvent, ContextEntry, Approval, Signal)

    @admin.action(description="Retry the selected failed runs from their failed nodes", permissions=["act"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Go on with failed runs."""
        from apps.workflows.services.runs import retry_run

        _act(request, queryset, lambda run: retry_run(run.pk, by=_actor(request)), "retried")

    @admin.action(description="Cancel the selected runs and everything in flight", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """End runs."""
        from apps.workflows.services.runs import cancel_run

        _act(request, queryset, lambda run: cancel_run(run.pk, by=_actor(request)), "cancelled")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether somebody may act on runs."""
        return request.user.has_perm("workflows.change_run")


@admin.register(NodeRun)
class NodeRunAdmin(HistoryAdmin[NodeRun]):
    list_display = ["id", "node", "visit", "index", "handler", "status", "attempt", "lost_count", "run_id"]
    list_filter = ["status"]
    search_fields = ["node"]
    ids = ["pk", "run_id", "parent_id"]
    heavy = ["input", "output", "error", "state"]
    readonly_fields = ["related"]

    @admin.display(description="See also")
    def related(self, node_run: NodeRun) -> str:
        """Link to what belongs to the node run."""
        return _links("node_run", node_run, Attempt, JournalEntry)


@admin.register(Attempt)
class AttemptAdmin(HistoryAdmin[Attempt]):
    list_display = ["node_run_id", "fence", "worker", "started_at", "ended_at", "outcome"]
    list_filter = ["outcome"]
    search_fields = ["outcome"]
    ids = ["node_run_id", "worker"]
    heavy = ["error"]


@admin.register(RunEvent)
class RunEventAdmin(HistoryAdmin[RunEvent]):
    list_display = ["run_id", "seq", "type", "node", "visit", "index", "created_at"]
    search_fields = ["=type", "=node"]
    ids = ["run_id", "node_run_id"]
    heavy = ["data"]


@admin.register(ContextEntry)
class ContextEntryAdmin(HistoryAdmin[ContextEntry]):
    list_display = ["run_id", "key", "seq", "node"]
    search_fields = ["=key"]
    ids = ["run_id", "node_run_id"]
    heavy = ["value"]


@admin.register(JournalEntry)
class JournalEntryAdmin(HistoryAdmin[JournalEntry]):
    list_display = ["node_run_id", "position", "name", "created_at"]
    search_fields = ["name"]
    ids = ["node_run_id"]
    heavy = ["result"]


@admin.register(Effect)
class EffectAdmin(HistoryAdmin[Effect]):
    list_display = ["id", "tool", "state", "sends", "organization", "run_id", "decided_by", "created_at"]
    list_filter = ["state"]
    list_select_related = ["organization"]
    search_fields = ["=tool", "=key"]
    ids = ["pk", "run_id", "node_run_id"]
    heavy = ["preview", "result", "error"]


@admin.register(Blob)
class BlobAdmin(HistoryAdmin[Blob]):
    list_display = ["digest", "organization", "created_at"]
    list_select_related = ["organization"]
    search_fields = ["=digest"]
    heavy = ["content"]
    exclude = ["content"]
    readonly_fields = ["beginning"]

    @admin.display(description="content")
    def beginning(self, blob: Blob) -> str:
        """Give the first part of what may have millions of characters."""
        return blob.content[:BEGINNING]


@admin.register(Approval)
class ApprovalAdmin(HistoryAdmin[Approval]):
    list_display = ["id", "message", "status", "organization", "run_id", "decided_by", "decided_at", "created_at"]
    list_filter = ["status"]
    list_select_related = ["organization"]
    search_fields = ["message", "decided_by"]
    ids = ["pk", "run_id", "node_run_id"]
    heavy = ["form", "payload", "data"]


@admin.register(Signal)
class SignalAdmin(HistoryAdmin[Signal]):
    list_display = ["id", "event", "organization", "run_id", "sent_by", "taken_by_id", "created_at"]
    list_select_related = ["organization"]
    search_fields = ["event"]
    ids = ["pk", "run_id"]
    heavy = ["payload"]


@admin.register(Schedule)
class ScheduleAdmin(HistoryAdmin[Schedule]):
    list_display = ["name", "workflow", "cron", "timezone", "enabled", "next_fire_at", "paused_reason", "organization"]
    list_filter = ["enabled"]
    list_select_related = ["workflow", "organization"]
    search_fields = ["name", "workflow__name"]
    ids = ["pk", "workflow_id"]
    heavy = ["input"]
    readonly_fields = ["related"]
    actions = ["pause", "resume"]

    @admin.display(description="See also")
    def related(self, schedule: Schedule) -> str:
        """Link to the times that have come."""
        return _links("schedule", schedule, ScheduleFire)

    @admin.action(description="Pause the selected schedules", permissions=["act"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Have schedules fire no more."""
        from apps.workflows.services.schedules import pause_schedule

        _act(request, queryset, pause_schedule, "paused")

    @admin.action(description="Resume the selected schedules, from their next time on", permissions=["act"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Have schedules fire again."""
        from apps.workflows.services.schedules import resume_schedule

        _act(request, queryset, resume_schedule, "resumed")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether somebody may change schedules."""
        return request.user.has_perm("workflows.change_schedule")


@admin.register(ScheduleFire)
class ScheduleFireAdmin(HistoryAdmin[ScheduleFire]):
    list_display = ["schedule", "scheduled_for", "outcome", "reason", "run_id", "fired_by", "organization"]
    list_filter = ["outcome"]
    list_select_related = ["schedule", "organization"]
    search_fields = ["schedule__name"]
    ids = ["pk", "schedule_id", "run_id"]


@admin.register(Circuit)
class CircuitAdmin(HistoryAdmin[Circuit]):
    list_display = [
        "name",
        "failures",
        "last_failure",
        "openings",
        "open_until",
        "probe_until",
        "changed_at",
        "organization",
    ]
    list_select_related = ["organization"]
    search_fields = ["name"]


@admin.register(Slot)
class SlotAdmin(HistoryAdmin[Slot]):
    list_display = ["name", "number", "holder", "worker", "taken_at", "organization"]
    list_select_related = ["organization"]
    search_fields = ["name"]
    ids = ["holder", "worker"]


@admin.register(Worker)
class WorkerAdmin(HistoryAdmin[Worker]):
    list_display = ["name", "host", "pid", "slots", "leads_recovery", "started_at", "heartbeat_at", "stopped_at"]
    search_fields = ["name", "host"]


def _links(field: str, thing: Any, *models: Any) -> str:
    """Give a link to the list of each model's rows that belong to a thing."""
    return format_html_join(
        ", ",
        '<a href="{}?{}__id__exact={}">{}</a>',
        (
            (
                reverse(f"admin:workflows_{model._meta.model_name}_changelist"),
                field,
                thing.pk,
                model._meta.verbose_name_plural,
            )
            for model in models
        ),
    )


def _act(request: HttpRequest, things: Iterable[Any], act: Callable[[Any], object], done: str) -> None:
    """Act on each thing and tell how many there were, and which were refused and why."""
    count = 0
    for thing in things:
        try:
            act(thing)
            count += 1
        except DomainError as error:
            messages.warning(request, f"{thing}: {error.detail}")
    messages.info(request, f"{count} {done}.")


def _actor(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}"
