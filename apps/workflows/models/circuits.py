"""Which services do not answer."""

from django.db import models

from apps.accounts.models import OrganizationModel


class Circuit(OrganizationModel):
    """A tool, or the host behind it, whose last call failed; where all is well there is no row."""

    name = models.CharField(max_length=400)  # the tool, and what it calls where the arguments say that
    failures = models.PositiveIntegerField()  # in a row
    last_failure = models.CharField(max_length=300, blank=True, default="", db_default="")  # what was said then
    openings = models.PositiveIntegerField(default=0)  # in a row
    open_until = models.DateTimeField(null=True)  # null: calls go through; past: one does, the probe
    probe_until = models.DateTimeField(null=True)  # a probe is on its way, and has until then
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="one_circuit_of_a_name")]

    def __str__(self) -> str:
        return self.name
