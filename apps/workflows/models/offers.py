"""Workflows that other people's programs may find and run, over MCP and A2A."""

from django.db import models

from apps.accounts.models import OrganizationModel
from apps.workflows.models.definitions import Workflow

LONGEST_NAME = 64  # what clients of models take for the name of a tool


class OfferedWorkflow(OrganizationModel):
    """A workflow that is switched on for programs with a key; without a row it is not."""

    workflow = models.OneToOneField(Workflow, on_delete=models.CASCADE, related_name="offer")
    name = models.CharField(max_length=LONGEST_NAME)  # of the tool and of the agent: letters, digits, '_' and '-'
    created_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="one_offered_workflow_of_a_name"),
        ]

    def __str__(self) -> str:
        return self.name
