"""What people keep of their lists."""

from django.db import models

from apps.accounts.models import OrganizationModel, User


class SavedView(OrganizationModel):
    """A filter of the run list under a name; each person has their own."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=500)  # as it stands in the filter box

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user", "name"], name="one_saved_view_of_a_name"),
        ]

    def __str__(self) -> str:
        return self.name
