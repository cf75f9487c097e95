"""How well agents do what they can do, and how one was chosen for it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.accounts.models import OrganizationModel


class AgentFigures(OrganizationModel):
    """What was measured of an agent doing one thing; the last calls count most."""

    agent = models.CharField(max_length=201)  # an instance is `agent/instance`
    capability = models.CharField(max_length=200)
    calls = models.BigIntegerField(default=0)
    success = models.FloatField(default=1)  # from 0 to 1
    latency_ms = models.FloatField(default=0)
    usd = models.FloatField(default=0)  # for a call
    recent_ms = ArrayField(models.FloatField(), default=list)  # the last calls, the newest first
    failures = models.PositiveIntegerField(default=0)  # in a row
    openings = models.PositiveIntegerField(default=0)  # of its breaker, in a row
    open_until = models.DateTimeField(null=True)
    probe_until = models.DateTimeField(null=True)  # somebody tries whether it is well again
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "figures of an agent"
        verbose_name_plural = "figures of agents"
        constraints = [
            models.UniqueConstraint(fields=["organization", "capability", "agent"], name="one_row_of_agent_figures")
        ]

    def __str__(self) -> str:
        return f"{self.agent} for {self.capability}"


class AgentDecision(OrganizationModel):
    """Which agent one attempt got for a capability, and the figures it was chosen by."""

    key = models.CharField(max_length=500)  # of the visit; the same in every attempt
    attempt = models.PositiveIntegerField()
    capability = models.CharField(max_length=200)
    chosen = models.CharField(max_length=201)
    reason = models.TextField()
    candidates = models.JSONField()  # as `GET /v1/agents/route` gives them
    run_id = models.UUIDField(null=True)

    class Meta:
        verbose_name = "choice of an agent"
        verbose_name_plural = "choices of agents"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "key", "attempt", "chosen"], name="one_choice_of_an_agent_for_an_attempt"
            )
        ]
        indexes = [
            models.Index(fields=["created_at"], condition=Q(run_id=None), name="agent_decision_oldest"),
            models.Index(fields=["run_id"], condition=~Q(run_id=None), name="agent_decision_of_run"),
        ]

    def __str__(self) -> str:
        return f"{self.chosen} for {self.capability}"
