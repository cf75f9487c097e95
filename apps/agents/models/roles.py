"""Prompts that an organization has written for the roles of a team."""

from django.db import models

from apps.accounts.models import OrganizationModel


class RolePrompt(OrganizationModel):
    """What an organization once made of a role's prompt; never changed. The newest one works."""

    role = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    text = models.TextField(null=True)  # noqa: DJ001 - null is "the built-in one again", whatever that says by then
    message = models.CharField(max_length=500, blank=True, default="")
    created_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["role", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "role", "number"], name="one_role_prompt_of_a_number")
        ]

    def __str__(self) -> str:
        return f"{self.role} v{self.number}"
