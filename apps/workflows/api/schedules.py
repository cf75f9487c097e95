"""Schedules: workflows that run by the clock."""

from collections.abc import Callable

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, boolean, choice, many, text
from apps.common.serializers import checked
from apps.workflows import selectors
from apps.workflows.models import Schedule, ScheduleFire
from apps.workflows.serializers.runs import StartedRun, new_run
from apps.workflows.serializers.schedules import (
    FireView as FireOutcome,
)
from apps.workflows.serializers.schedules import (
    ScheduleChangeSerializer,
    ScheduleDetail,
    ScheduleSerializer,
    ScheduleView,
    fire_view,
    schedule_detail,
    schedule_view,
)
from apps.workflows.services import firing, queue_limit
from apps.workflows.services.schedules import (
    Plan,
    add_schedule,
    change_schedule,
    delete_schedule,
    pause_schedule,
    resume_schedule,
)

SORTS = {"created_at": ("created_at", "id"), "name": ("name", "id")}
FIRE_SORTS = {"scheduled_for": ("scheduled_for", "id")}
OUTCOME = many(choice(*ScheduleFire.Outcome.values, description="Times of which this came."))


class SchedulesView(OrganizationView):
    """All schedules."""

    query = {
        "GET": {
            **LISTING,
            "workflow": text("Schedules of this workflow, by name or id."),
            "enabled": boolean("Only those that fire, or only those that are paused."),
        }
    }

    @extend_schema(responses={200: page_of(ScheduleView)}, operation_id="list_schedules")
    def get(self, request: Request) -> Response:
        """List the schedules, the newest first."""
        found = selectors.schedules()
        if (workflow := self.query_values["workflow"]) is not None:
            found = found.filter(workflow=selectors.find_workflow(workflow))
        if (enabled := self.query_values["enabled"]) is not None:
            found = found.filter(enabled=enabled)
        return paginate(found, request, sorts=SORTS, serialize=schedule_view)

    @extend_schema(request=ScheduleSerializer, responses={201: ScheduleDetail}, operation_id="add_schedule")
    def post(self, request: Request) -> Response:
        """Add a schedule; it fires from now on."""
        wanted = checked(ScheduleSerializer, request)
        return run_once(request, lambda: (201, schedule_detail(self._add(**wanted))))

    def _add(self, *, workflow: str, name: str, enabled: bool, **plan: str) -> Schedule:
        return add_schedule(
            organization=self.access.organization,
            workflow=selectors.find_workflow(workflow),
            name=name,
            plan=Plan(**plan),  # type: ignore[arg-type]
            by=self.access.actor,
            enabled=enabled,
        )


class OneScheduleView(OrganizationView):
    """One schedule, by name or id."""

    @extend_schema(responses={200: ScheduleDetail}, operation_id="get_schedule")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a schedule with its next times."""
        return Response(schedule_detail(selectors.find_schedule(ref)))

    @extend_schema(request=ScheduleChangeSerializer, responses={200: ScheduleDetail}, operation_id="change_schedule")
    def patch(self, request: Request, ref: str) -> Response:
        """Change parts of a schedule; a new time counts from now on."""
        changes = checked(ScheduleChangeSerializer, request)
        return Response(schedule_detail(change_schedule(selectors.find_schedule(ref), **changes)))

    @extend_schema(responses={204: None}, operation_id="delete_schedule")
    def delete(self, _request: Request, ref: str) -> Response:
        """Delete a schedule and the record of its times; its runs stay."""
        delete_schedule(selectors.find_schedule(ref))
        return Response(status=204)


class FiresView(OrganizationView):
    """The times of a schedule that have come."""

    query = {"GET": {**LISTING, "outcome": OUTCOME}}

    @extend_schema(responses={200: page_of(FireOutcome)}, operation_id="list_schedule_fires")
    def get(self, request: Request, ref: str) -> Response:
        """List the times that have come and what came of each, the newest first."""
        found = selectors.fires(selectors.find_schedule(ref))
        if outcomes := self.query_values["outcome"]:
            found = found.filter(outcome__in=outcomes)
        return paginate(found, request, sorts=FIRE_SORTS, default="-scheduled_for", serialize=fire_view)


class PauseScheduleView(OrganizationView):
    """Pausing a schedule."""

    capabilities = {"POST": "run"}

    @extend_schema(request=None, responses={200: ScheduleDetail}, operation_id="pause_schedule")
    def post(self, request: Request, ref: str) -> Response:
        """Fire no more until it is resumed; what runs goes on."""
        return _act(request, ref, pause_schedule)


class ResumeScheduleView(OrganizationView):
    """Resuming a schedule."""

    capabilities = {"POST": "run"}

    @extend_schema(request=None, responses={200: ScheduleDetail}, operation_id="resume_schedule")
    def post(self, request: Request, ref: str) -> Response:
        """Fire again, from the next time on."""
        return _act(request, ref, resume_schedule)


class FireView(OrganizationView):
    """Firing a schedule by hand."""

    capabilities = {"POST": "run"}
    throttle_group = "run"

    @extend_schema(request=None, responses={202: StartedRun}, operation_id="fire_schedule")
    def post(self, request: Request, ref: str) -> Response:
        """Start a run at once, whatever its policies say and also while it is paused."""
        schedule = selectors.find_schedule(ref)

        def work() -> Answer:
            queue_limit.admit(self.access.organization)
            return 202, new_run(firing.fire_now(schedule.pk, by=self.access.actor))

        return run_once(request, work, is_transaction=True)


def _act(request: Request, ref: str, act: Callable[[Schedule], Schedule]) -> Response:
    schedule = selectors.find_schedule(ref)
    return run_once(request, lambda: (200, schedule_detail(act(schedule))))
