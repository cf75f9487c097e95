"""Agents of other people that an organization has added, over the Agent2Agent protocol."""

import hashlib

from django.db import models

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField
from apps.common.json import dumps
from apps.integrations.models.vault import Secret


class A2aAgent(OrganizationModel):
    """An agent elsewhere, which workflows use as the agent `a2a.<name>`.

    Its card is read when a person asks for that. Models read, and runs are sent to, what stands in the card that a
    person has accepted; while the one that was read last says something else, nothing is sent.
    """

    name = models.CharField(max_length=40)  # never changes, as workflows name it
    card_url = models.CharField(max_length=2000)
    secret = models.ForeignKey(Secret, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")  # its key
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=200, blank=True)
    card = JSONTextField(null=True, blank=True)  # that was accepted; null before
    offered = JSONTextField(null=True, blank=True)  # that was read last, where it is not the accepted one
    accepted_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    refreshed_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="")  # why the card could not be read, the last time

    class Meta:
        verbose_name = "A2A agent"
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="one_a2a_agent_of_a_name")]
        indexes = [models.Index(fields=["organization", "-created_at", "-id"], name="a2a_agent_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def full_name(self) -> str:
        """Give the name by which workflows use it."""
        return f"a2a.{self.name}"

    @property
    def state(self) -> str:
        """Say whether it can be used: unread, new, accepted or changed."""
        if self.offered is not None:
            return "new" if self.card is None else "changed"
        return "unread" if self.card is None else "accepted"

    @property
    def digest(self) -> str:
        """Give the SHA-256 of the card that was read last; empty before."""
        card = self.card if self.offered is None else self.offered
        return "" if card is None else hashlib.sha256(dumps(card)).hexdigest()
