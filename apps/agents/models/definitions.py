"""Agents that an organization has made of a prompt, and their versions."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField


class AgentDefinition(OrganizationModel):
    """A named agent; what it is stands in its versions, of which the newest works."""

    name = models.CharField(max_length=100)
    latest_version = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], condition=Q(archived_at=None), name="one_agent_of_a_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class AgentVersion(OrganizationModel):
    """What an agent was once; never changed."""

    agent = models.ForeignKey(AgentDefinition, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document = JSONTextField()  # an AgentSpec
    message = models.CharField(max_length=500, blank=True, default="")
    created_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "number"], name="one_agent_version_of_a_number")]

    def __str__(self) -> str:
        return f"{self.agent} v{self.number}"
