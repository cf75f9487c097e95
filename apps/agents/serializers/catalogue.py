"""The wire forms of agents and of calls to them."""

from typing import Any

from rest_framework import serializers

from apps.agents.registry import AgentType
from apps.agents.services.execution import DEFAULT_SECONDS, MOST_SECONDS
from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.integrations.serializers.tools import CallErrorSerializer


class AgentSerializer(serializers.Serializer[Any]):
    """An agent that workflows can use."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(["builtin", "llm", "remote", "plugin"])
    description = serializers.CharField()
    capabilities = serializers.ListField(child=serializers.CharField())
    config_schema = serializers.DictField(help_text="JSON Schema.")
    input_schema = serializers.DictField(help_text="JSON Schema; empty takes any JSON.")
    output_schema = serializers.DictField(help_text="JSON Schema; empty gives any JSON.")
    status = serializers.ChoiceField(["available"])
    load = serializers.FloatField(help_text="0 for agents that run inside the workers.")
    health = serializers.ChoiceField(["healthy"])
    cost = serializers.DictField(help_text="`usd_per_call`; 0 for agents that use no model.")


class ExecuteSerializer(StrictSerializer):
    """A task for one agent, named by exactly one of `agent_type`, `agent` and `capability`."""

    agent_type = serializers.CharField(required=False, max_length=200)
    agent = serializers.CharField(required=False, max_length=200, help_text="The same as `agent_type`.")
    capability = serializers.CharField(required=False, max_length=200, help_text="An agent that can do this is chosen.")
    input_data = serializers.JSONField(required=False, help_text="What the agent's input_schema takes.")
    input = serializers.JSONField(required=False, help_text="The same as `input_data`.")
    config = serializers.DictField(required=False, help_text="What the agent's config_schema takes.")
    session = serializers.CharField(
        required=False, max_length=200, help_text="Names a conversation that the agent goes on with."
    )
    timeout = serializers.FloatField(
        min_value=0.1, max_value=MOST_SECONDS, default=DEFAULT_SECONDS, help_text="Seconds."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse none or several names, and two inputs."""
        if sum(name in attrs for name in ("agent_type", "agent", "capability")) != 1:
            raise serializers.ValidationError("Name exactly one of agent_type, agent and capability.")
        if "input_data" in attrs and "input" in attrs:
            raise serializers.ValidationError("Give either input_data or input, not both.")
        return attrs


class ExecutionSerializer(serializers.Serializer[Any]):
    """How a task ended."""

    status = serializers.ChoiceField(["completed", "failed"])
    agent = serializers.CharField()
    output = serializers.JSONField(help_text="null when it failed.")
    error = CallErrorSerializer(allow_null=True)
    duration_ms = serializers.FloatField()
    cost_usd = serializers.FloatField()


def agent_json(agent_type: AgentType) -> JSON:
    """Give an agent as the API shows it."""
    return {
        "name": agent_type.name,
        "kind": agent_type.kind,
        "description": agent_type.description,
        "capabilities": list(agent_type.capabilities),
        "config_schema": agent_type.config_schema,
        "input_schema": agent_type.input_schema,
        "output_schema": agent_type.output_schema,
        "status": "available",
        "load": 0.0,
        "health": "healthy",
        "cost": {"usd_per_call": 0.0},
    }
