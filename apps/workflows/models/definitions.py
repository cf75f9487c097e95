"""Workflows and their versions."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField


class Workflow(OrganizationModel):
    """A named workflow; what it does is in its versions."""

    name = models.CharField(max_length=200)
    title = models.CharField(max_length=200, blank=True, default="")
    description = models.TextField(blank=True, default="")
    latest_version = models.PositiveIntegerField(default=0)
    published_version = models.PositiveIntegerField(null=True, blank=True)  # what runs when nobody names a version
    pinned = models.BooleanField(default=False)  # published by hand: a newer version waits until it is published too
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=Q(archived_at=None),
                name="one_workflow_of_a_name",
            ),
        ]
        indexes = [models.Index(fields=["organization", "-created_at", "-id"], name="workflow_newest")]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(OrganizationModel):
    """A definition as it was once; never changed. An inline definition is a version of no workflow."""

    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(default=1)
    digest = models.CharField(max_length=64)  # SHA-256 of the canonical document: the same content is no new version
    document = JSONTextField()  # canonical form
    source = models.TextField()  # as it came in, comments and spelling kept
    source_format = models.CharField(max_length=10, choices=[("json", "JSON"), ("yaml", "YAML")])
    dialect = models.CharField(max_length=20)
    message = models.CharField(max_length=500, blank=True, default="")
    created_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "number"], name="one_version_of_a_number"),
            models.UniqueConstraint(
                fields=["organization", "digest"],
                condition=Q(workflow=None),
                name="one_inline_definition_of_a_content",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow or 'inline'} v{self.number}"
