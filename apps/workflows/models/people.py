"""What a run waits for from outside: a person's decision, an event."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField
from apps.workflows.models.progress import NodeRun, Run


class Approval(OrganizationModel):
    """A question to people."""

    class Status(models.TextChoices):
        """Where the question stands."""

        OPEN = "open"
        APPROVED = "approved"
        REJECTED = "rejected"
        SENT_BACK = "sent_back", "Sent back"  # to the nodes before it, which run again and may ask again
        EXPIRED = "expired"
        CANCELLED = "cancelled"  # with its run

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="approvals")
    node_run = models.OneToOneField(NodeRun, on_delete=models.CASCADE, related_name="approval")
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    message = models.TextField()
    assignees = models.JSONField(default=list, blank=True)  # user names; empty: anybody who may run
    form = JSONTextField(null=True, blank=True)  # JSON Schema of the data that comes with the decision
    payload = JSONTextField(null=True, blank=True)  # what is to be decided about
    on_timeout = models.CharField(max_length=10, default="fail")
    deadline_at = models.DateTimeField(null=True, blank=True)
    data = JSONTextField(null=True, blank=True)
    comment = models.TextField(blank=True, default="")
    decided_by = models.CharField(max_length=200, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["organization", "status", "-created_at", "-id"], name="approval_by_status")]

    def __str__(self) -> str:
        return self.message[:80]


class Signal(OrganizationModel):
    """An event from outside for one run; kept until a node waits for it."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="signals")
    event = models.CharField(max_length=200)
    payload = models.TextField()  # JSON or a reference to a blob
    sent_by = models.CharField(max_length=200, blank=True, default="")
    taken_by = models.ForeignKey(NodeRun, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        indexes = [
            models.Index(fields=["run", "event", "created_at"], condition=Q(taken_by=None), name="signal_untaken")
        ]

    def __str__(self) -> str:
        return self.event
