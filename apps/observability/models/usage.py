"""What was asked of language models, and what that took."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value

from apps.accounts.models import OrganizationModel


class Usage(OrganizationModel):
    """One call of a language model: written before it goes out, settled when its answer is there."""

    class Outcome(models.TextChoices):
        """How it ended."""

        UNDER_WAY = "under_way"
        ANSWERED = "answered"
        CACHED = "cached"  # an answer that was given before: it cost nothing
        FAILED = "failed"  # the other side gave no answer, and takes nothing for it
        LOST = "lost"  # nobody knows: it counts as if it had cost all that was put aside for it

    run_id = models.UUIDField(null=True)
    node_run_id = models.UUIDField(null=True)
    node = models.CharField(max_length=128, blank=True, default="")
    attempt = models.PositiveIntegerField(default=1)
    workflow = models.CharField(max_length=200, blank=True, default="")
    agent = models.CharField(max_length=100, blank=True, default="")
    caller = models.CharField(max_length=200, blank=True, default="")  # who started the run, or tries an agent
    model = models.CharField(max_length=200)  # by the name it was asked under
    served_by = models.CharField(max_length=300, blank=True, default="")  # provider and model that answered
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.UNDER_WAY)
    error = models.CharField(max_length=100, blank=True, default="")  # the code
    # The models that were to answer before this one, and did not: model, code, ms.
    passed_over = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    input_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)  # those of the input that the provider knew already
    output_tokens = models.PositiveBigIntegerField(default=0)
    reasoning_tokens = models.PositiveBigIntegerField(default=0)  # those of the output that nobody sees
    cost_micro_usd = models.BigIntegerField(default=0)  # millionths of a dollar
    is_priced = models.BooleanField(default=True)  # False: nobody knows the model's price, and the cost is not 0
    first_token_ms = models.PositiveIntegerField(null=True)
    total_ms = models.PositiveIntegerField(null=True)
    reserved_micro_usd = models.BigIntegerField(default=0)  # the most it can cost, put aside while it is under way
    accounts = ArrayField(models.UUIDField(), default=list)  # of budgets, from which it was put aside
    expires_at = models.DateTimeField()  # under way for longer than this, it is lost

    class Meta:
        verbose_name_plural = "usage"
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="usage_newest"),
            models.Index(fields=["organization", "model", "-created_at"], name="usage_of_model"),
            models.Index(fields=["run_id", "created_at", "id"], name="usage_of_run"),
            models.Index(fields=["expires_at"], condition=Q(outcome="under_way"), name="usage_under_way"),
        ]

    @property
    def outcome_words(self) -> str:
        """Give the outcome as people read it."""
        return {"under_way": "under way", "cached": "from the cache"}.get(self.outcome, self.outcome)

    def __str__(self) -> str:
        return f"{self.model}: {self.outcome}"
