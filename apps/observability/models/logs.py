"""The log of runs."""

from django.db import models
from django.db.models.functions import Now

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField


class LogLine(OrganizationModel):
    """A line that a node wrote to its run's log."""

    class Level(models.TextChoices):
        """How much it matters."""

        DEBUG = "debug"
        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    run_id = models.UUIDField()
    node_run_id = models.UUIDField(null=True)
    node = models.CharField(max_length=128, blank=True, default="")
    attempt = models.PositiveIntegerField(default=1)
    level = models.CharField(max_length=10, choices=Level)
    message = models.TextField()
    fields = JSONTextField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["run_id", "created_at", "id"], name="log_of_run")]

    def __str__(self) -> str:
        return self.message[:80]
