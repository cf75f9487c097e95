"""The wire forms of channels, messages and dead letters."""

from typing import Any

from rest_framework import serializers

from apps.agents.bus.dead_letters import DECISIONS
from apps.agents.bus.messages import Message, message_of
from apps.agents.models import Channel, ChannelMessage, Delivery
from apps.agents.models.bus import MAX_DELIVERIES
from apps.common.json import JSON
from apps.common.serializers import StrictSerializer

MOST_DELIVERIES = 100
MOST_SECONDS = 90 * 86_400.0


class GroupSerializer(serializers.Serializer[Any]):
    """A group of readers."""

    name = serializers.CharField()
    lag = serializers.IntegerField(help_text="Messages that it has not acknowledged.")
    in_hand = serializers.IntegerField(help_text="How many of them a reader has at the moment.")
    dead_letters = serializers.IntegerField(help_text="Delivered too often; a person decides.")


class ChannelSerializer(serializers.Serializer[Any]):
    """A channel with its groups."""

    name = serializers.CharField()
    description = serializers.CharField()
    schema = serializers.JSONField(help_text="JSON Schema of the payloads; null takes any JSON.")
    schema_name = serializers.CharField()
    max_deliveries = serializers.IntegerField(help_text="To one group, until a message becomes a dead letter.")
    published = serializers.IntegerField(help_text="How many messages there ever were.")
    last_message_at = serializers.DateTimeField(allow_null=True)
    groups = GroupSerializer(many=True)


class DeclareSerializer(StrictSerializer):
    """What a channel should be."""

    description = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)
    schema = serializers.JSONField(
        required=False, default=None, allow_null=True, help_text="JSON Schema; a message that does not fit is refused."
    )
    schema_name = serializers.CharField(required=False, default="", allow_blank=True, max_length=100)
    max_deliveries = serializers.IntegerField(
        required=False, default=MAX_DELIVERIES, min_value=1, max_value=MOST_DELIVERIES
    )

    def validate_schema(self, value: JSON) -> JSON:
        """Refuse what can be no schema at all; whether it is a good one is asked later."""
        if value is None or isinstance(value, dict | bool):
            return value
        raise serializers.ValidationError("A JSON Schema is an object, true or false.")


class MessageSerializer(serializers.Serializer[Any]):
    """A message."""

    id = serializers.UUIDField()
    channel = serializers.CharField()
    seq = serializers.IntegerField(help_text="Its place in the channel.")
    kind = serializers.ChoiceField(ChannelMessage.Kind.values)
    payload = serializers.JSONField()
    schema = serializers.CharField(help_text="The name of the schema that it was checked against.")
    run = serializers.UUIDField(allow_null=True, help_text="The run that published it.")
    node = serializers.CharField(allow_null=True)
    origin = serializers.CharField(help_text="Who published it: `agent:greeter`, `tool:bus.publish`, `user:ada`.")
    correlation_id = serializers.UUIDField(allow_null=True, help_text="The message that the conversation began with.")
    causation_id = serializers.UUIDField(allow_null=True, help_text="The message that this one follows from.")
    reply_to = serializers.CharField(allow_null=True, help_text="The channel for replies to a request.")
    capability = serializers.CharField(allow_null=True, help_text="Only agents that can do this are meant.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="From then on it is delivered no more.")


class SignalSerializer(StrictSerializer):
    """A run that the message continues."""

    run = serializers.UUIDField()
    event = serializers.CharField(max_length=200, help_text="What its `wait` node waits for.")


class PublishSerializer(StrictSerializer):
    """A message to publish."""

    payload = serializers.JSONField(allow_null=True, help_text="Any JSON of up to 64 KiB.")
    kind = serializers.ChoiceField(
        ["event", "broadcast", "reply"],
        required=False,
        default="event",
        help_text="`reply` answers the request `correlation_id`, on the channel its `reply_to` names.",
    )
    capability = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)
    correlation_id = serializers.UUIDField(required=False, default=None, allow_null=True)
    causation_id = serializers.UUIDField(required=False, default=None, allow_null=True)
    expires_in = serializers.FloatField(
        required=False, default=None, allow_null=True, min_value=1, max_value=MOST_SECONDS, help_text="Seconds."
    )
    signal = SignalSerializer(required=False, default=None, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a reply to nothing."""
        if attrs["kind"] == "reply" and attrs["correlation_id"] is None:
            raise serializers.ValidationError({"correlation_id": "A reply names the request that it answers."})
        return attrs


class DeadLetterSerializer(serializers.Serializer[Any]):
    """A message that a group could not handle."""

    id = serializers.UUIDField(help_text="Of the delivery; the message's is in `message`.")
    channel = serializers.CharField()
    group = serializers.CharField()
    state = serializers.ChoiceField(Delivery.State.values)
    deliveries = serializers.IntegerField()
    error = serializers.CharField(help_text="What the last reader said.")
    reader = serializers.CharField()
    settled_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    message = MessageSerializer()


class DeadLetterDecisionSerializer(StrictSerializer):
    """What becomes of a dead letter."""

    decision = serializers.ChoiceField(
        choices=list(DECISIONS), help_text="`redeliver`: to the group, as if for the first time; `discard`: give it up."
    )


def channel_json(channel: Channel) -> JSON:
    """Give a channel of `overview.channels` as the API shows it."""
    return {
        "name": channel.name,
        "description": channel.description,
        "schema": channel.schema,
        "schema_name": channel.schema_name,
        "max_deliveries": channel.max_deliveries,
        "published": channel.last_seq,
        "last_message_at": channel.last_message_at,  # type: ignore[attr-defined] # annotated
        "groups": [_group_json(group) for group in channel.groups.all()],
    }


def _group_json(group: Any) -> JSON:
    return {"name": group.name, "lag": group.lag, "in_hand": group.in_hand, "dead_letters": group.dead}


def message_json(message: Message) -> JSON:
    """Give a message as the API shows it."""
    return {
        "id": message.id,
        "channel": message.channel,
        "seq": message.seq,
        "kind": message.kind,
        "payload": message.payload,
        "schema": message.schema,
        "run": message.run_id,
        "node": message.node or None,
        "origin": message.origin,
        "correlation_id": message.correlation_id,
        "causation_id": message.causation_id,
        "reply_to": message.reply_to or None,
        "capability": message.capability or None,
        "created_at": message.created_at,
        "expires_at": message.expires_at,
    }


def dead_letter_json(letter: Delivery) -> JSON:
    """Give a dead letter as the API shows it."""
    channel = letter.group.channel.name
    return {
        "id": letter.pk,
        "channel": channel,
        "group": letter.group.name,
        "state": letter.state,
        "deliveries": letter.deliveries,
        "error": letter.error,
        "reader": letter.reader,
        "settled_at": letter.settled_at,
        "decided_by": letter.decided_by or None,
        "message": message_json(message_of(letter.message, channel)),
    }
