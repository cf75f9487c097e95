"""The wire forms of A2A agents."""

from rest_framework import serializers

from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.integrations.models import A2aAgent

STATES = ["unread", "new", "accepted", "changed"]


class A2aAgentSerializer(serializers.ModelSerializer[A2aAgent]):
    """An agent elsewhere that workflows may use."""

    agent = serializers.CharField(source="full_name", help_text="As workflows name it: `a2a.<name>`.")
    key_hint = serializers.CharField(
        source="secret.hint", default=None, allow_null=True, help_text="The end of its key, which is never shown."
    )
    state = serializers.ChoiceField(STATES, help_text="Only an `accepted` agent can be used.")
    card = serializers.JSONField(help_text="The one that was accepted; null before.")
    offered = serializers.JSONField(help_text="The one that was read last, where it is not the accepted one.")
    digest = serializers.CharField(help_text="SHA-256 of the card that was read last; send it back to accept it.")
    problem = serializers.CharField(help_text="Why the card could not be read the last time; empty where it was.")

    class Meta:
        model = A2aAgent
        fields = ["id", "name", "agent", "card_url", "key_hint", "enabled", "state", "card", "offered", "digest"]
        fields += ["accepted_by", "problem", "created_by", "created_at", "refreshed_at"]


class AcceptedCardSerializer(StrictSerializer):
    """A card as somebody has seen it."""

    digest = serializers.CharField(max_length=64, help_text="That of the card that you have seen.")


class NewA2aAgentSerializer(StrictSerializer):
    """An agent to add."""

    name = serializers.CharField(max_length=40, help_text="Part of its name in workflows; never changes.")
    card_url = serializers.CharField(max_length=2000, help_text="https, such as .../.well-known/agent-card.json")
    key = serializers.CharField(
        max_length=4000, default="", allow_blank=True, write_only=True, help_text="Sent as `Authorization: Bearer`."
    )
    enabled = serializers.BooleanField(default=True)


class A2aAgentChangeSerializer(StrictSerializer):
    """What to change of an agent."""

    key = serializers.CharField(
        max_length=4000, required=False, allow_blank=True, write_only=True, help_text="Empty: none any more."
    )
    enabled = serializers.BooleanField(required=False)


def a2a_agent_json(agent: A2aAgent) -> JSON:
    """Give an agent as the API shows it."""
    return A2aAgentSerializer(agent).data
