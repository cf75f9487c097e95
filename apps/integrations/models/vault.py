"""Secrets as they are kept: sealed, each under a key of its own."""

from django.db import models

from apps.accounts.models import OrganizationModel


class OrganizationKey(OrganizationModel):
    """The key that the keys of an organization's secrets are wrapped with, itself wrapped with a master key."""

    wrapped = models.BinaryField()
    master = models.CharField(max_length=16)  # which of the master keys

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization"], name="one_key_of_an_organization")]

    def __str__(self) -> str:
        return f"key of {self.organization_id}"


class Secret(OrganizationModel):
    """A value that is written and never shown again: what uses it opens it where it is used."""

    wrapped = models.BinaryField()  # its key
    sealed = models.BinaryField()
    hint = models.CharField(max_length=12)  # its last characters, by which people tell it from another
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.hint
