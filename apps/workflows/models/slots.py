"""How many calls of a tool are under way."""

from django.db import models

from apps.accounts.models import OrganizationModel


class Slot(OrganizationModel):
    """Room for one call of a tool that takes only so many at a time; made when it is first asked for."""

    name = models.CharField(max_length=400)  # as of a circuit: the tool, and what it calls
    number = models.PositiveIntegerField()
    holder = models.UUIDField(null=True)  # the call that has it
    worker = models.UUIDField(null=True)  # in which process; one that is gone holds nothing
    taken_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "name", "number"], name="one_slot_of_a_number")]

    def __str__(self) -> str:
        return f"{self.name} #{self.number}"
