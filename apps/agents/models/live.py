"""Agents that are processes of their own, and the tasks they are given."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Now

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField

SILENT_INTERVALS = 3  # heartbeats that may be missed

# How long ago the last heartbeat may have been, by the interval of each instance.
PATIENCE = ExpressionWrapper(Value(timedelta(seconds=SILENT_INTERVALS)) * F("interval"), output_field=DurationField())


class AgentInstance(OrganizationModel):
    """One process that does the work of an agent; several of one `agent` share its tasks.

    It lives as long as its heartbeats come. Its row outlives it: the organization knows the agent from it.
    """

    class State(models.TextChoices):
        """What the process last said of itself, or that it is silent."""

        IDLE = "idle"
        BUSY = "busy"
        DRAINING = "draining"  # it finishes what it has
        OFFLINE = "offline"  # it signed off, or has been silent for too long

    class Mode(models.TextChoices):
        """What people want of it."""

        ACTIVE = "active"
        DRAINING = "draining"  # gets nothing new
        DISABLED = "disabled"  # gets nothing, and what it had goes to others

    name = models.CharField(max_length=100)
    agent = models.CharField(max_length=100)  # whose work it does; instances of one agent stand in for each other
    description = models.TextField(blank=True, default="")
    capabilities = models.JSONField(default=list)  # [{name, input_types, output_types, input_schema, output_schema}]
    capability_names = ArrayField(models.CharField(max_length=200), default=list)
    input_schema = models.JSONField(default=dict)
    output_schema = models.JSONField(default=dict)
    config_schema = models.JSONField(default=dict)
    endpoint = models.TextField(blank=True, default="")  # where tasks are sent; without one it fetches them
    max_concurrency = models.PositiveIntegerField(default=1)
    interval = models.FloatField(default=10)  # seconds between heartbeats
    version = models.CharField(max_length=100, blank=True, default="")
    usd_per_call = models.FloatField(default=0)
    process = models.CharField(max_length=64, blank=True, default="")  # a restart is another process of the same name
    load = models.PositiveIntegerField(default=0)  # as it last said
    state = models.CharField(max_length=10, choices=State, default=State.IDLE)
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.ACTIVE)
    heartbeat_at = models.DateTimeField(db_default=Now())
    polled_at = models.DateTimeField(null=True)  # when it last asked for a task
    secret_number = models.PositiveIntegerField(default=1)
    secret_digest = models.CharField(max_length=64)  # the secret itself is derived and never stored

    class Meta:
        verbose_name = "agent instance"
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="one_agent_instance_of_a_name"),
            models.CheckConstraint(condition=Q(max_concurrency__gte=1), name="agent_instance_has_room"),
        ]
        indexes = [
            models.Index(fields=["organization", "agent"], name="agent_instances_of_agent"),
            models.Index(fields=["heartbeat_at"], condition=~Q(state="offline"), name="agent_instance_alive"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def measured_as(self) -> str:
        """Give the name under which its figures are kept; no agent of a process has a slash in its name."""
        return f"{self.agent}/{self.name}"


class AgentTask(OrganizationModel):
    """One task for an agent outside: offered, claimed under a lease and a fence, and ended once.

    Whoever goes on with the try that asked for it finds this row by its `key`, so nothing is asked for twice.
    """

    class State(models.TextChoices):
        """Where it is."""

        QUEUED = "queued"  # anybody who can do it may claim it; `instance` before others until `offered_until`
        CLAIMED = "claimed"  # `instance` works on it until `lease_until`
        COMPLETED = "completed"
        FAILED = "failed"
        WITHDRAWN = "withdrawn"  # nobody waits for it any more

    key = models.CharField(max_length=500)  # of one try of a visit, or of a call over the API
    idempotency_key = models.CharField(max_length=500, blank=True, default="", db_default="")  # the same in every try
    agent = models.CharField(max_length=100)
    capability = models.CharField(max_length=200, blank=True, default="")
    instance = models.ForeignKey(AgentInstance, null=True, on_delete=models.SET_NULL, related_name="tasks")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    input = JSONTextField(null=True)
    config = JSONTextField(null=True)
    output = JSONTextField(null=True)
    error = JSONTextField(null=True)
    cost_usd = models.FloatField(default=0)
    lines = models.PositiveIntegerField(default=0, db_default=0)  # for the log, that have come from who has claimed it
    fence = models.BigIntegerField(default=0)  # moves at each claim: who was replaced brings nothing any more
    tries = models.PositiveIntegerField(default=1)  # the number of the node's try, or how often it was asked for
    lost_count = models.PositiveIntegerField(default=0)  # claims whose instance died
    refused_by = ArrayField(models.UUIDField(), default=list)  # instances that failed at it or were not reached
    offered_until = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    waited_at = models.DateTimeField(db_default=Now())  # when somebody last waited for it; far off: its node does
    run_id = models.UUIDField(null=True)
    node_run_id = models.UUIDField(null=True)
    node = models.CharField(max_length=200, blank=True, default="")
    claimed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "agent task"
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="one_agent_task_of_a_key")]
        indexes = [
            models.Index(
                fields=["organization", "agent", "created_at"],
                condition=Q(state__in=["queued", "claimed"]),
                name="agent_task_open",
            ),
            models.Index(fields=["finished_at"], name="agent_task_finished"),
            models.Index(fields=["run_id"], condition=~Q(run_id=None), name="agent_task_of_run"),
        ]

    def __str__(self) -> str:
        return self.key
