"""Runs and everything that happens in them. The engine writes these rows through `store`.

A foreign key that begins a unique key or an index of its table has no index of its own. Node runs, attempts, events and
context entries are only added by a statement that has found the run's row, so the database does not look for it again.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.accounts.models import Organization, OrganizationModel
from apps.common.fields import JSONTextField
from apps.workflows.engine.states import NodeStatus, RunStatus
from apps.workflows.models.definitions import Workflow, WorkflowVersion

RUN_STATUSES = [(status.value, status.value) for status in RunStatus]
NODE_STATUSES = [(status.value, status.value) for status in NodeStatus if status is not NodeStatus.SKIPPED]
GOING_ON = Q(status__in=["pending", "running", "waiting", "paused"])


class Run(OrganizationModel):
    """One execution of one version of a workflow."""

    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.CASCADE, related_name="runs")
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="runs")
    name = models.CharField(max_length=200)  # of the workflow or the inline definition
    status = models.CharField(max_length=10, choices=RUN_STATUSES, default=RunStatus.PENDING)
    input = models.TextField()  # JSON, or a reference to a blob
    output = models.TextField(null=True)  # noqa: DJ001 - null is "none yet"
    error = JSONTextField(null=True)
    marking = JSONTextField()
    priority = models.SmallIntegerField(default=0)  # higher is claimed first
    labels = models.JSONField(default=dict, blank=True)
    trigger = models.CharField(max_length=20, default="api")  # what started it
    created_by = models.CharField(max_length=200, blank=True, default="")
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    parent_node = models.ForeignKey(
        "NodeRun", null=True, on_delete=models.CASCADE, related_name="+"
    )  # waits for this run
    nesting = models.PositiveSmallIntegerField(default=0)  # 0 for a run that no run started
    forked_from = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="forks")
    forked_at = models.BigIntegerField(null=True)  # the last event of the other run that this one took over
    last_seq = models.BigIntegerField(default=0)  # of its events
    revision = models.BigIntegerField(default=0, db_default=0)  # raised by every change to the run or any of its rows
    visits = models.PositiveIntegerField(default=0)  # node visits started, for the limit
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    tokens = models.BigIntegerField(default=0)
    deadline_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="run_newest"),
            models.Index(fields=["organization", "status", "-created_at", "-id"], name="run_by_status"),
            models.Index(fields=["workflow", "-created_at", "-id"], name="run_by_workflow"),
            models.Index(
                fields=["deadline_at"], condition=GOING_ON & Q(deadline_at__isnull=False), name="run_deadline"
            ),
            models.Index(
                fields=["parent_node"],
                condition=GOING_ON & Q(parent_node__isnull=False),
                name="run_of_parent",
            ),
            GinIndex(fields=["labels"], name="run_labels", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"run {self.id}"


class NodeRun(OrganizationModel):
    """One visit of one node, or one item of a map."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="nodes", db_constraint=False, db_index=False)
    node = models.CharField(max_length=128)
    visit = models.PositiveIntegerField()
    index = models.IntegerField(default=-1)  # the place in its map; -1 for a visit
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="items", db_index=False)
    depth = models.BigIntegerField(default=0)  # logical time, see engine/marking.py
    handler = models.CharField(max_length=250)  # what a worker must have, see nodes/registry.py
    queue = models.CharField(max_length=40, default="default")
    status = models.CharField(max_length=10, choices=NODE_STATUSES)
    waiting_for = models.CharField(
        max_length=10, blank=True, default=""
    )  # time | event | approval | child | items | agent
    priority = models.SmallIntegerField(default=0)
    available_at = models.DateTimeField(null=True)  # when it may be claimed or is due; null: not by itself
    timeout = models.FloatField(null=True)  # seconds one attempt may take
    deadline_at = models.DateTimeField(null=True)  # of the current attempt
    hinted_at = models.DateTimeField(null=True)  # when a message was last sent for it
    fence = models.BigIntegerField(default=0)  # raised by each claim; a write with an older one is refused
    completed_fence = models.BigIntegerField(null=True)  # the fence whose result was accepted
    attempt = models.PositiveIntegerField(default=0)  # the node's own tries
    lost_count = models.PositiveSmallIntegerField(default=0)  # attempts that died with their worker
    open_items = models.PositiveIntegerField(default=0)  # of a map: items that have not ended
    worker = models.UUIDField(null=True)
    input = models.TextField(null=True)  # noqa: DJ001 - JSON or a reference to a blob; null is "not rendered yet"
    output = models.TextField(null=True)  # noqa: DJ001
    error = JSONTextField(null=True)
    state = JSONTextField(default=dict)  # what the node needs to go on with: its item, what it waits for
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "node", "visit", "index"], name="one_activation"),
        ]
        indexes = [
            models.Index(
                fields=["organization", "-priority", "available_at", "id"],
                condition=Q(status__in=["queued", "retrying"]),
                name="node_queued",
            ),
            models.Index(fields=["waiting_for", "available_at"], condition=Q(status="waiting"), name="node_waiting"),
            models.Index(fields=["worker"], condition=Q(status="running"), name="node_running"),
            models.Index(fields=["parent", "index"], condition=Q(parent__isnull=False), name="node_items"),
        ]

    def __str__(self) -> str:
        return f"{self.node} #{self.visit}"


class Attempt(models.Model):
    """One try of a node by one worker."""

    class Outcome(models.TextChoices):
        """How a try ended."""

        COMPLETED = "completed"
        WAITING = "waiting"
        FAILED = "failed"
        TIMEOUT = "timeout"
        LOST = "lost"  # with its worker
        RELEASED = "released"  # handed back by a worker that stops
        DEFERRED = "deferred"  # there was no room for a call
        CANCELLED = "cancelled"

    node_run = models.ForeignKey(
        NodeRun, on_delete=models.CASCADE, related_name="attempts", db_constraint=False, db_index=False
    )
    fence = models.BigIntegerField()
    worker = models.UUIDField()
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True, default="")
    error = JSONTextField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["node_run", "fence"], name="one_attempt_of_a_fence")]

    def __str__(self) -> str:
        return f"attempt {self.fence}"


class RunEvent(models.Model):
    """Something that happened in a run: its history, the live stream's source, and what a fork is made from."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events", db_constraint=False, db_index=False)
    seq = models.BigIntegerField()  # 1, 2, 3 ... without a gap
    type = models.CharField(max_length=30)
    node = models.CharField(max_length=128, blank=True, default="")
    visit = models.PositiveIntegerField(null=True)
    index = models.IntegerField(null=True)
    node_run_id = models.UUIDField(null=True)
    data = JSONTextField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "seq"], name="events_without_gap")]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"


class ContextEntry(models.Model):
    """One write to a shared key of a run; the key's value is the fold of its writes in the order of their rank."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="context_entries", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=128)
    seq = models.BigIntegerField()  # of the event that tells of it: the version
    rank = ArrayField(models.BigIntegerField())  # node order, then logical time: never the clock
    value = models.TextField()  # JSON or a reference to a blob
    node = models.CharField(max_length=128, blank=True, default="")
    node_run_id = models.UUIDField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key", "seq"], name="one_write_of_a_version")]

    def __str__(self) -> str:
        return f"{self.key} v{self.seq}"


class JournalEntry(models.Model):
    """The result of one step inside an agent, so that a new attempt does not take it again."""

    node_run = models.ForeignKey(NodeRun, on_delete=models.CASCADE, related_name="journal", db_index=False)
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    result = models.TextField()  # JSON or a reference to a blob
    started_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["node_run", "position"], name="one_result_of_a_step")]

    def __str__(self) -> str:
        return f"{self.position} {self.name}"


class Blob(OrganizationModel):
    """A large value, kept once however often it is used."""

    digest = models.CharField(max_length=64)
    content = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "digest"], name="one_blob_of_a_content")]

    def __str__(self) -> str:
        return self.digest[:12]
