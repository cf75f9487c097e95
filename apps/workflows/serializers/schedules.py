"""Schedules as the API and the commands show them, and what they are made of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from rest_framework import serializers

from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.workflows.models import Schedule, ScheduleFire
from apps.workflows.services.schedules import next_times

SHOWN_TIMES = 5


class ScheduleView(BaseModel):
    """A schedule in a list."""

    id: UUID
    name: str
    workflow: str
    workflow_id: UUID
    version: int | None
    cron: str
    timezone: str
    input: dict[str, Any]
    enabled: bool
    paused_reason: str | None
    catch_up: str
    overlap: str
    next_fire_at: datetime | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    url: str
    fires_url: str


class ScheduleDetail(ScheduleView):
    """A schedule with its next times, which are none while it is paused."""

    next_times: list[datetime]


class FireView(BaseModel):
    """A time of a schedule that has come, and what came of it."""

    id: UUID
    scheduled_for: datetime
    fired_at: datetime
    outcome: str
    reason: str | None
    run: UUID | None
    run_url: str | None
    fired_by: str | None


class ScheduleChangeSerializer(StrictSerializer):
    """What of a schedule is to be changed; what is not named stays."""

    name = serializers.CharField(required=False, max_length=200)
    cron = serializers.CharField(
        required=False, max_length=200, help_text="Five fields, or six with the seconds in front; or `@daily`."
    )
    timezone = serializers.CharField(required=False, max_length=64, help_text="An IANA name: `Europe/Berlin`.")
    version = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**31 - 1, help_text="Null: the published one."
    )
    input = serializers.JSONField(required=False, help_text="Checked against the workflow's `inputs`.")
    catch_up = serializers.ChoiceField(
        required=False,
        choices=Schedule.CatchUp.values,
        help_text="Of the times that were missed by more than a minute: none, the last, or the last ten.",
    )
    overlap = serializers.ChoiceField(
        required=False, choices=Schedule.Overlap.values, help_text="While the run before still goes on."
    )

    def validate_input(self, value: JSON) -> JSON:
        """Give the input, which is an object."""
        if not isinstance(value, dict):
            raise serializers.ValidationError("The input is an object.")
        return value


class ScheduleSerializer(ScheduleChangeSerializer):
    """A new schedule."""

    workflow = serializers.CharField(max_length=200, help_text="Name or id of a saved workflow.")
    name = serializers.CharField(max_length=200)
    cron = serializers.CharField(
        max_length=200, help_text="Five fields, or six with the seconds in front; or `@daily`."
    )
    enabled = serializers.BooleanField(required=False, default=True)


_PLAIN: Sequence[str] = (
    "name", "workflow_id", "version", "cron", "timezone", "input", "enabled", "catch_up", "overlap", "next_fire_at",
    "created_by", "created_at", "updated_at",
)  # fmt: skip


def schedule_view(schedule: Schedule) -> dict[str, JSON]:
    """A schedule in a list."""
    return ScheduleView(**_columns(schedule)).model_dump(mode="json")


def schedule_detail(schedule: Schedule) -> dict[str, JSON]:
    """One schedule with its next times."""
    times = next_times(schedule.cron, schedule.timezone, SHOWN_TIMES) if schedule.enabled else []
    return ScheduleDetail(**_columns(schedule), next_times=times).model_dump(mode="json")


def fire_view(fire: ScheduleFire) -> dict[str, JSON]:
    """What came of a time."""
    view = FireView(
        id=fire.pk,
        scheduled_for=fire.scheduled_for,
        fired_at=fire.created_at,
        outcome=fire.outcome,
        reason=fire.reason or None,
        run=fire.run_id,
        run_url=f"/v1/runs/{fire.run_id}" if fire.run_id else None,
        fired_by=fire.fired_by or None,
    )
    return view.model_dump(mode="json")


def _columns(schedule: Schedule) -> dict[str, Any]:
    return {
        "id": schedule.pk,
        "workflow": schedule.workflow.name,
        "paused_reason": schedule.paused_reason or None,
        **{name: getattr(schedule, name) for name in _PLAIN},
        "url": f"/v1/schedules/{schedule.pk}",
        "fires_url": f"/v1/schedules/{schedule.pk}/fires",
    }
