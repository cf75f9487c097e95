"""The wire forms of MCP servers and of what they offer."""

from typing import Any

from rest_framework import serializers

from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.integrations.models import McpServer, McpTool
from apps.integrations.services.mcp_servers import changes_of

STATES = ["new", "allowed", "changed", "gone", "unusable"]
MOST_DECISIONS = 500


class McpServerSerializer(serializers.ModelSerializer[McpServer]):
    """A server whose tools the organization may use."""

    key_hint = serializers.CharField(
        source="secret.hint", default=None, allow_null=True, help_text="The end of its key, which is never shown."
    )
    problem = serializers.CharField(help_text="Why its tools could not be listed the last time; empty where they were.")

    class Meta:
        model = McpServer
        fields = ["id", "name", "url", "key_hint", "enabled", "problem", "created_by", "created_at", "refreshed_at"]


class McpToolSerializer(serializers.Serializer[Any]):
    """A tool that a server offers."""

    name = serializers.CharField(help_text="As its server calls it.")
    tool = serializers.CharField(help_text="As workflows and agents call it: `mcp.<server>.<name>`.")
    state = serializers.ChoiceField(STATES, help_text="Only an `allowed` tool can be called.")
    problem = serializers.CharField()
    effect = serializers.ChoiceField(McpTool.Effect.choices)
    description = serializers.CharField()
    input_schema = serializers.DictField()
    output_schema = serializers.DictField(allow_null=True)
    digest = serializers.CharField(help_text="SHA-256 of description and schemas; send it back to approve just these.")
    approved_digest = serializers.CharField()
    approved_by = serializers.CharField()
    approved_at = serializers.DateTimeField(allow_null=True)
    diff = serializers.CharField(help_text="What has changed since it was approved, line by line.")


class McpToolsSerializer(serializers.Serializer[Any]):
    """Everything that a server offers."""

    items = McpToolSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class NewMcpServerSerializer(StrictSerializer):
    """A server to add."""

    name = serializers.CharField(max_length=40, help_text="Part of the names of its tools; never changes.")
    url = serializers.CharField(max_length=2000, help_text="https; another scheme or port where the operator allows.")
    key = serializers.CharField(
        max_length=4000, default="", allow_blank=True, write_only=True, help_text="Sent as `Authorization: Bearer`."
    )
    enabled = serializers.BooleanField(default=True)


class McpServerChangeSerializer(StrictSerializer):
    """What to change of a server."""

    url = serializers.CharField(max_length=2000, required=False, help_text="A new one forgets approvals and key.")
    key = serializers.CharField(
        max_length=4000, required=False, allow_blank=True, write_only=True, help_text="Empty: none any more."
    )
    enabled = serializers.BooleanField(required=False)


class McpDecisionSerializer(StrictSerializer):
    """What is decided of one tool."""

    name = serializers.CharField(max_length=128)
    allowed = serializers.BooleanField()
    digest = serializers.CharField(max_length=64, default="", help_text="That of what you have seen; to allow it.")
    effect = serializers.ChoiceField(McpTool.Effect.choices, default=McpTool.Effect.EXTERNAL_WRITE.value)


class McpDecisionsSerializer(StrictSerializer):
    """What is decided of a server's tools."""

    tools = serializers.ListField(child=McpDecisionSerializer(), min_length=1, max_length=MOST_DECISIONS)


def mcp_server_json(server: McpServer) -> JSON:
    """Give a server as the API shows it."""
    return McpServerSerializer(server).data


def mcp_tool_json(tool: McpTool) -> JSON:
    """Give a tool as the API shows it."""
    return {
        "name": tool.name,
        "tool": tool.full_name,
        "state": tool.state,
        "problem": tool.problem,
        "effect": tool.effect,
        "description": tool.offered.get("description", ""),
        "input_schema": tool.offered.get("input_schema", {}),
        "output_schema": tool.offered.get("output_schema"),
        "digest": tool.digest,
        "approved_digest": tool.approved_digest,
        "approved_by": tool.approved_by,
        "approved_at": tool.approved_at,
        "diff": "\n".join(line for _, line in changes_of(tool)),
    }
