"""The wire forms of tools, calls to them, and the outbox."""

from typing import Any, get_args

from rest_framework import serializers

from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.integrations.models import OutboxMessage
from apps.integrations.services.calls import DEFAULT_SECONDS, MOST_SECONDS
from apps.integrations.tools import Effect, Tool


class ToolSerializer(serializers.Serializer[Any]):
    """A tool that workflows and agents can use."""

    name = serializers.CharField()
    description = serializers.CharField()
    effect = serializers.ChoiceField(get_args(Effect), help_text="What a call changes.")
    repeat = serializers.ChoiceField(
        ["free", "keyed", "ask", "by_input"],
        help_text="What is done about a call that may have taken effect: it is made again, made again with the same "
        "idempotency key, left to a person, or one of these by its input.",
    )
    has_lookup = serializers.BooleanField(
        help_text="Whether the other side can be asked what became of a call, which is done before anything else."
    )
    timeout_seconds = serializers.FloatField()
    input_schema = serializers.DictField(help_text="JSON Schema.")
    output_schema = serializers.DictField(help_text="JSON Schema.")


class InvokeSerializer(StrictSerializer):
    """A call of a tool."""

    input = serializers.JSONField(required=False, help_text="What the tool's input_schema takes.")
    timeout = serializers.FloatField(
        min_value=0.1, max_value=MOST_SECONDS, default=DEFAULT_SECONDS, help_text="Seconds."
    )


class CallErrorSerializer(serializers.Serializer[Any]):
    """Why a call failed."""

    code = serializers.CharField()
    message = serializers.CharField()
    retryable = serializers.BooleanField(help_text="Whether trying again may help.")
    retry_after = serializers.FloatField(required=False, help_text="Seconds.")


class CallSerializer(serializers.Serializer[Any]):
    """How a call ended."""

    status = serializers.ChoiceField(["completed", "failed"])
    tool = serializers.CharField()
    output = serializers.JSONField(help_text="null when it failed.")
    error = CallErrorSerializer(allow_null=True)
    duration_ms = serializers.FloatField()


class OutboxMessageSerializer(serializers.ModelSerializer[OutboxMessage]):
    """A message in the outbox."""

    class Meta:
        model = OutboxMessage
        fields = ["id", "to", "subject", "body", "run_id", "node", "created_at"]


def tool_json(tool: Tool) -> JSON:
    """Give a tool as the API shows it."""
    return {
        "name": tool.name,
        "description": tool.description,
        "effect": tool.effect,
        "repeat": tool.repeat_shown,
        "has_lookup": tool.lookup is not None,
        "timeout_seconds": tool.timeout,
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
    }
