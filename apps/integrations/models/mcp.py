"""Servers of the Model Context Protocol that an organization has added, and what it lets them do."""

from django.db import models

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField
from apps.integrations.models.vault import Secret

LONGEST_NAME = 40
LONGEST_TOOL_NAME = 128  # what the protocol allows


class McpServer(OrganizationModel):
    """An address (https, Streamable HTTP) whose tools the organization may use as `mcp.<name>.<tool>`."""

    name = models.CharField(max_length=LONGEST_NAME)  # never changes, as workflows name its tools
    url = models.CharField(max_length=2000)
    secret = models.ForeignKey(Secret, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")  # its key
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=200, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)  # when its tools were last listed
    problem = models.TextField(blank=True, default="")  # why they could not be, the last time

    class Meta:
        verbose_name = "MCP server"
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="one_mcp_server_of_a_name")]
        indexes = [models.Index(fields=["organization", "-created_at", "-id"], name="mcp_server_newest")]

    def __str__(self) -> str:
        return self.name


class McpTool(OrganizationModel):
    """A tool that a server has listed: what it says of itself now, and what a person has approved.

    `offered` and `approved` hold `{description, input_schema, output_schema}`; the digests are their SHA-256. A tool
    whose digests differ has been changed by its server since, and is not called.
    """

    class Effect(models.TextChoices):
        """What a person knows of it; what a server says of itself is no proof."""

        READ = "read"
        EXTERNAL_WRITE = "external_write"

    server = models.ForeignKey(McpServer, on_delete=models.CASCADE, related_name="tools", db_index=False)
    name = models.CharField(max_length=LONGEST_TOOL_NAME)  # as its server calls it
    offered = JSONTextField()
    digest = models.CharField(max_length=64)
    problem = models.TextField(blank=True, default="")  # why it cannot be used, whoever approves it
    gone = models.BooleanField(default=False)  # its server did not list it the last time
    approved = JSONTextField(null=True, blank=True)
    approved_digest = models.CharField(max_length=64, blank=True, default="")  # empty: nobody has allowed it
    approved_by = models.CharField(max_length=200, blank=True, default="")
    approved_at = models.DateTimeField(null=True, blank=True)
    effect = models.CharField(max_length=20, choices=Effect, default=Effect.EXTERNAL_WRITE)

    class Meta:
        verbose_name = "MCP tool"
        constraints = [models.UniqueConstraint(fields=["server", "name"], name="one_mcp_tool_of_a_name")]

    def __str__(self) -> str:
        return self.full_name

    @property
    def full_name(self) -> str:
        """Give the name by which workflows and agents call it."""
        return f"mcp.{self.server.name}.{self.name}"

    @property
    def state(self) -> str:
        """Say whether it can be called: new, allowed, changed, gone or unusable."""
        if self.problem:
            return "unusable"
        if self.gone:
            return "gone"
        if not self.approved_digest:
            return "new"
        return "allowed" if self.approved_digest == self.digest else "changed"
