"""Versions of an agent on trial: two of them share its work, and what each made of it is counted."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import OrganizationModel
from apps.agents.models.definitions import AgentDefinition


class AgentTrial(OrganizationModel):
    """The newest version of an agent beside an older one."""

    agent = models.ForeignKey(AgentDefinition, on_delete=models.CASCADE, related_name="trials")
    candidate = models.PositiveIntegerField()  # the number of the version that was the newest when it began
    baseline = models.PositiveIntegerField()  # of the older one
    percent = models.PositiveSmallIntegerField()  # of the visits that the candidate gets
    started_by = models.CharField(max_length=200, blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=200, blank=True, default="")
    kept = models.PositiveIntegerField(null=True, blank=True)  # the number of the version that it was decided for

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent"], condition=Q(ended_at=None), name="one_trial_of_an_agent_at_a_time"
            ),
            models.CheckConstraint(condition=Q(percent__gte=1, percent__lte=99), name="trial_shares_the_work"),
        ]

    def other_than(self, number: int) -> int:
        """Give the number of the other version."""
        return self.baseline if number == self.candidate else self.candidate

    def __str__(self) -> str:
        return f"{self.agent}: v{self.candidate} beside v{self.baseline}"


class AgentTrialFigures(OrganizationModel):
    """What one version made of its visits in a trial."""

    trial = models.ForeignKey(AgentTrial, on_delete=models.CASCADE, related_name="figures")
    number = models.PositiveIntegerField()  # of the version
    visits = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    turns = models.PositiveBigIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    cost_micro_usd = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = "figures of a trial"
        verbose_name_plural = "figures of trials"
        constraints = [models.UniqueConstraint(fields=["trial", "number"], name="one_row_of_figures_of_a_version")]

    def __str__(self) -> str:
        return f"{self.trial}: v{self.number}"
