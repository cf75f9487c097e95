"""What people are working on in the builder."""

from django.db import models

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField
from apps.workflows.models.definitions import Workflow


class Draft(OrganizationModel):
    """The one unfinished definition of a workflow, apart from its versions; it may be wrong in any way."""

    workflow = models.OneToOneField(Workflow, on_delete=models.CASCADE, related_name="draft")
    revision = models.PositiveIntegerField(default=0)  # one more with every save: what a stale save is known by
    document = JSONTextField()
    source = models.TextField(
        blank=True, default=""
    )  # the document as YAML with its comments, where somebody wrote any
    layout = JSONTextField(default=dict)  # where the nodes stand, notes, groups: nothing that the engine reads
    based_on = models.PositiveIntegerField(default=0)  # the version it began as
    updated_by = models.CharField(max_length=200, blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"draft of {self.workflow}"
