"""How much may be spent on language models, and how much has been."""

from datetime import date

from django.db import models

from apps.accounts.models import OrganizationModel

NEVER = date(1970, 1, 1)  # when a period began that has no beginning


class Budget(OrganizationModel):
    """A cap in money. Without a subject each run, workflow, agent or person has it for itself."""

    class Scope(models.TextChoices):
        """Whose calls count together."""

        ORGANIZATION = "organization"
        WORKFLOW = "workflow"
        RUN = "run"
        AGENT = "agent"
        USER = "user"

    class Period(models.TextChoices):
        """When it begins anew."""

        DAY = "day"  # at midnight UTC
        MONTH = "month"
        TOTAL = "total"  # never

    class AtCap(models.TextChoices):
        """What becomes of the call that does not fit any more."""

        ASK = "ask"  # its run pauses, and goes on when somebody has raised the cap
        CHEAPER = "cheaper"  # another model is asked, if that fits
        FAIL = "fail"  # it fails

    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=12, choices=Scope)
    subject = models.CharField(max_length=200, blank=True, default="")  # a name; empty: each of them
    period = models.CharField(max_length=5, choices=Period, default=Period.TOTAL)
    limit_micro_usd = models.BigIntegerField()
    at_cap = models.CharField(max_length=7, choices=AtCap, default=AtCap.ASK)
    cheaper_model = models.CharField(max_length=200, blank=True, default="")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="one_budget_of_a_name")]

    def __str__(self) -> str:
        return self.name

    def period_start(self, today: date) -> date:
        """Give the day on which the present period began."""
        if self.period == self.Period.DAY:
            return today
        return today.replace(day=1) if self.period == self.Period.MONTH else NEVER


class BudgetAccount(OrganizationModel):
    """What has been spent of a budget by one subject in one period, and what is put aside for calls under way."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="accounts", db_index=False)
    subject = models.CharField(max_length=200, blank=True, default="")
    period_start = models.DateField()  # 1970-01-01 where there is none
    spent_micro_usd = models.BigIntegerField(default=0)
    reserved_micro_usd = models.BigIntegerField(default=0)
    extra_micro_usd = models.BigIntegerField(default=0)  # what somebody has allowed this one beyond the cap

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "subject", "period_start"], name="one_account_of_a_subject")
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.subject} {self.period_start}"
