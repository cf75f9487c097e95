"""What runs have sent into the world."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField
from apps.workflows.models.progress import NodeRun, Run


class Effect(OrganizationModel):
    """One outgoing call of a tool, by a node or by the agent in it; every attempt of the node finds the same row."""

    class State(models.TextChoices):
        """What is known of the call."""

        PLANNED = "planned"  # it did not happen, a person says; the next attempt sends it
        SENT = "sent"  # on its way, as long as its attempt lives
        CONFIRMED = "confirmed"  # it happened, and `result` came of it
        FAILED = "failed"  # it did not happen: the other side refused, or a person gave up
        UNKNOWN = "unknown"  # sent, and nobody knows what became of it

    class OnUnknown(models.TextChoices):
        """What a new attempt does that finds it unknown."""

        RETRY = "retry"  # sends it again, with the same key
        ASK = "ask"  # leaves it to a person
        FAIL = "fail"  # fails, for good

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="effects", db_index=False)
    node_run = models.ForeignKey(NodeRun, on_delete=models.CASCADE, related_name="effects", db_index=False)
    call = models.PositiveIntegerField()  # 0: the node's own; those of an agent count from 1
    key = models.CharField(max_length=500)  # run:node:visit:index:call, the same in every attempt
    tool = models.CharField(max_length=200, blank=True)  # empty: all that a node did that must not run twice
    state = models.CharField(max_length=10, choices=State)
    on_unknown = models.CharField(max_length=5, choices=OnUnknown)
    fence = models.BigIntegerField()  # of the attempt that wrote last
    attempt = models.PositiveIntegerField()
    sends = models.PositiveIntegerField(default=0)  # how often it was sent, always with the same key
    digest = models.CharField(max_length=64, blank=True)  # of the arguments
    preview = models.TextField(blank=True)  # of the arguments, without secrets
    result = models.TextField(null=True)  # noqa: DJ001 - JSON or a reference to a blob; null is "none yet"
    error = JSONTextField(null=True)
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)  # when an answer came
    decision = models.CharField(max_length=10, blank=True, default="")  # happened | retry | fail
    comment = models.TextField(blank=True, default="")
    decided_by = models.CharField(max_length=200, blank=True, default="")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["node_run", "call"], name="one_effect_of_a_call")]
        indexes = [
            models.Index(fields=["run", "created_at", "id"], name="effect_of_run"),
            models.Index(fields=["organization", "-created_at", "-id"], name="effect_newest"),
            models.Index(
                fields=["organization", "-created_at", "-id"],
                condition=Q(state__in=["sent", "unknown"]),
                name="effect_open",
            ),
        ]

    def __str__(self) -> str:
        return self.key
