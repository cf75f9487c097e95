"""Publishing: one transaction that puts the message and what each group has to do with it into rows."""

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django_scopes import scope

from apps.agents.bus import signals, streams
from apps.agents.bus.channels import check_against_schema, locked
from apps.agents.bus.messages import Message, Options, Sender, checked_payload, message_of
from apps.agents.models import Channel, ChannelGroup, ChannelMessage, Delivery
from apps.common.json import JSON

log = structlog.get_logger(__name__)

Kind = ChannelMessage.Kind


PLAIN = Options()


def publish(
    channel: str, payload: JSON, sender: Sender, options: Options = PLAIN, *, idempotency_key: str | None = None
) -> Message:
    """Publish and give the message; with a key used before, give the one published then.

    Raises InvalidInput for a wrong name, a payload over 64 KiB, or one that does not fit the channel's schema. With a
    signal also NotFound for a run that is not there, and Conflict for one that has ended.
    """
    payload = checked_payload(payload)
    with scope(organization=sender.organization_id), transaction.atomic():
        owner = locked(sender.organization_id, channel)
        known = _published_as(idempotency_key)
        if known is not None:
            return message_of(known, known.channel.name)
        check_against_schema(owner, payload)
        if options.signal is not None:
            signals.send(options.signal.run, options.signal.event, payload, by=sender.origin or "bus")
        message = message_of(_written(owner, payload, sender, options, idempotency_key), channel)
        transaction.on_commit(lambda: streams.announce(sender.organization_id, channel, message.seq))
    log.debug("Published.", action="message_published", channel=channel, message_id=str(message.id), kind=message.kind)
    return message


def _published_as(key: str | None) -> ChannelMessage | None:
    if key is None:
        return None
    return ChannelMessage.objects.select_related("channel").filter(idempotency_key=key).first()


def _written(owner: Channel, payload: JSON, sender: Sender, options: Options, key: str | None) -> ChannelMessage:
    """Write the message as the channel's next, and a delivery for each group."""
    Channel.objects.filter(pk=owner.pk).update(last_seq=F("last_seq") + 1)
    row = ChannelMessage(
        organization_id=sender.organization_id,
        channel=owner,
        seq=owner.last_seq + 1,
        kind=options.kind,
        payload=payload,
        schema_name=owner.schema_name,
        run_id=sender.run_id,
        node=sender.node or "",
        origin=sender.origin,
        correlation_id=options.correlation_id,
        causation_id=options.causation_id,
        reply_to=options.reply_to,
        capability=options.capability,
        signal_run_id=options.signal.run if options.signal else None,
        signal_event=options.signal.event if options.signal else "",
        idempotency_key=key,
        expires_at=Now() + _lifetime(options),  # the database's clock
    )
    row.save(force_insert=True)
    row.refresh_from_db(fields=["created_at", "expires_at"])
    groups = ChannelGroup.objects.filter(channel=owner)
    Delivery.objects.bulk_create(
        Delivery(organization_id=row.organization_id, group=group, message=row, seq=row.seq, expires_at=row.expires_at)
        for group in groups
    )
    return row


def _lifetime(options: Options) -> timedelta:
    if options.expires_in is not None:
        return timedelta(seconds=options.expires_in)
    return timedelta(days=settings.ORCHESTRA_MESSAGE_DAYS)
