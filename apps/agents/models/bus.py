"""Channels, what was published on them, and who has read it; apps/agents/bus/__init__.py tells how they act."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField

MAX_DELIVERIES = 5


class Channel(OrganizationModel):
    """A named line of messages; it comes to be with its first message or reader, or is declared with a schema."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True, default="")
    schema = JSONTextField(null=True)  # JSON Schema of the payloads; null takes any JSON
    schema_name = models.CharField(max_length=100, blank=True, default="")
    max_deliveries = models.PositiveIntegerField(default=MAX_DELIVERIES)  # to a group, until it is a dead letter
    last_seq = models.BigIntegerField(default=0)  # of the newest message; its lock puts publishers in line

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="one_channel_of_a_name")]

    def __str__(self) -> str:
        return self.name


class ChannelMessage(OrganizationModel):
    """A message as it was published; nothing of it ever changes."""

    class Kind(models.TextChoices):
        """What its sender expects."""

        EVENT = "event"  # nothing
        REQUEST = "request"  # a reply on `reply_to`
        REPLY = "reply"  # nothing: it answers the request `correlation_id`
        BROADCAST = "broadcast"  # nothing: it is for every agent, or for those with `capability`

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="messages", db_index=False)
    seq = models.BigIntegerField()  # its place in the channel, without gaps
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.EVENT)
    payload = JSONTextField(null=True)
    schema_name = models.CharField(max_length=100, blank=True, default="")  # of the schema it was checked against
    run_id = models.UUIDField(null=True)  # plain ids: runs belong to an app above
    node = models.CharField(max_length=200, blank=True, default="")
    origin = models.CharField(max_length=200, blank=True, default="")  # agent:greeter, user:alice, tool:bus.publish
    correlation_id = models.UUIDField(null=True)  # the message that the conversation began with
    causation_id = models.UUIDField(null=True)  # the message that it follows from
    reply_to = models.CharField(max_length=120, blank=True, default="")
    capability = models.CharField(max_length=200, blank=True, default="")
    signal_run_id = models.UUIDField(null=True)  # the run that it continues, with the event
    signal_event = models.CharField(max_length=200, blank=True, default="")
    idempotency_key = models.CharField(max_length=500, null=True)  # noqa: DJ001 - null is "may be published again"
    expires_at = models.DateTimeField()  # from then on it is delivered no more
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "seq"], name="one_message_of_a_seq"),
            models.UniqueConstraint(fields=["organization", "idempotency_key"], name="message_published_once"),
        ]
        indexes = [
            models.Index(fields=["channel", "-created_at", "-id"], name="channel_message_newest"),
            models.Index(
                fields=["organization", "correlation_id"],
                condition=Q(correlation_id__isnull=False),
                name="channel_message_of_talk",
            ),
            models.Index(fields=["expires_at"], name="channel_message_expiring"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.seq}"


class ChannelGroup(OrganizationModel):
    """Readers that share the messages of a channel: each message goes to one of them."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="groups", db_index=False)
    name = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "name"], name="one_group_of_a_name")]

    def __str__(self) -> str:
        return self.name


class Delivery(OrganizationModel):
    """What a group still has to do with a message, or has done."""

    class State(models.TextChoices):
        """What became of it."""

        PENDING = "pending"  # to be read; or a reader has it, until `available_at`
        ACKED = "acked"  # read and handled; never delivered again
        DEAD = "dead"  # delivered too often without being acknowledged; a person decides
        DISCARDED = "discarded"  # a person has given it up
        EXPIRED = "expired"  # nobody read it in time

    group = models.ForeignKey(ChannelGroup, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    message = models.ForeignKey(ChannelMessage, on_delete=models.CASCADE, related_name="deliveries")
    seq = models.BigIntegerField()  # the message's: deliveries are in this order
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    deliveries = models.PositiveIntegerField(default=0)  # how often a reader got it; also the reader's fence
    available_at = models.DateTimeField(db_default=Now())  # when a reader may take it: the end of the last one's lease
    expires_at = models.DateTimeField()
    reader = models.CharField(max_length=200, blank=True, default="")  # who had it last
    error = models.TextField(blank=True, default="")  # what the last reader said, without secrets
    settled_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "message"], name="one_delivery_to_a_group")]
        indexes = [
            models.Index(fields=["group", "seq"], condition=Q(state="pending"), name="delivery_pending"),
            models.Index(
                fields=["organization", "-created_at", "-id"], condition=Q(state="dead"), name="delivery_dead"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.seq}"
