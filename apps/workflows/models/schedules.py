"""Runs that begin by the clock."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField
from apps.workflows.models.definitions import Workflow
from apps.workflows.models.progress import Run


class Schedule(OrganizationModel):
    """When a workflow runs by itself, and with what."""

    class CatchUp(models.TextChoices):
        """What becomes of the times that nobody was there to fire."""

        NONE = "none"
        LAST = "last"
        ALL = "all"  # the latest ten

    class Overlap(models.TextChoices):
        """What becomes of a time at which the run before still goes on."""

        SKIP = "skip"
        QUEUE = "queue"  # its run begins when that one has ended
        ALLOW = "allow"

    name = models.CharField(max_length=200)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="schedules")
    version = models.PositiveIntegerField(null=True, blank=True)  # null: the one that is published when it fires
    cron = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC")
    input = JSONTextField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    catch_up = models.CharField(max_length=4, choices=CatchUp, default=CatchUp.LAST)
    overlap = models.CharField(max_length=5, choices=Overlap, default=Overlap.SKIP)
    next_fire_at = models.DateTimeField(null=True)  # null while it is paused
    paused_reason = models.TextField(blank=True, default="")  # why Orchestra paused it; empty where a person did
    created_by = models.CharField(max_length=200, blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="one_schedule_of_a_name"),
            models.CheckConstraint(
                condition=Q(enabled=True, next_fire_at__isnull=False) | Q(enabled=False, next_fire_at=None),
                name="enabled_schedule_has_a_next_time",
            ),
        ]
        indexes = [
            models.Index(fields=["next_fire_at"], condition=Q(enabled=True), name="schedule_due"),
            models.Index(fields=["organization", "-created_at", "-id"], name="schedule_newest"),
        ]

    def __str__(self) -> str:
        return self.name


class ScheduleFire(OrganizationModel):
    """One time of a schedule and what came of it. Written once for each time: this is what makes it fire once."""

    class Outcome(models.TextChoices):
        """What came of it."""

        STARTED = "started"
        QUEUED = "queued"  # begins when the run before has ended
        SKIPPED = "skipped"  # the run before still went on, or the queue was full
        REFUSED = "refused"  # there was nothing to run, or not with this input

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="fires", db_index=False)
    scheduled_for = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=Outcome)
    reason = models.TextField(blank=True, default="")
    # Without a constraint: the fire is written first and decides whether there is a run, and runs are deleted alone.
    run = models.OneToOneField(Run, null=True, on_delete=models.SET_NULL, related_name="fire", db_constraint=False)
    is_open = models.BooleanField(default=False)  # it waits, or its run is not known to have ended
    fired_by = models.CharField(max_length=200, blank=True, default="")  # who did it by hand

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "scheduled_for"], name="one_fire_of_a_time"),
        ]
        indexes = [models.Index(fields=["schedule", "scheduled_for"], condition=Q(is_open=True), name="fire_open")]

    def __str__(self) -> str:
        return f"{self.scheduled_for:%Y-%m-%d %H:%M:%S}"
