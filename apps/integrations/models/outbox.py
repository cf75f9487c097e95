"""Rows of the built-in outbox."""

from django.db import models

from apps.accounts.models import OrganizationModel


class OutboxMessage(OrganizationModel):
    """A message that a run has sent with `outbox.send`; it stays here for people to see and goes nowhere else."""

    run_id = models.UUIDField(null=True, blank=True)  # a plain id: runs belong to an app above
    node = models.CharField(max_length=200, blank=True)
    to = models.CharField(max_length=320)
    subject = models.CharField(max_length=998, blank=True)
    body = models.TextField(blank=True)
    idempotency_key = models.CharField(max_length=500)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["organization", "-created_at", "-id"], name="outbox_newest")]
        constraints = [
            models.UniqueConstraint(fields=["organization", "idempotency_key"], name="message_sent_once"),
        ]

    def __str__(self) -> str:
        return f"to {self.to}: {self.subject}"
