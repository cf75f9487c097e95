"""Channels and their groups: made when they are first used, declared where payloads have a schema."""

from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models.functions import Now
from django_scopes import scope

from apps.agents.bus import streams
from apps.agents.bus.messages import checked_name
from apps.agents.models import Channel, ChannelGroup, Delivery
from apps.agents.models.bus import MAX_DELIVERIES
from apps.common.errors import Conflict, ErrorItem, NotFound
from apps.common.json import JSON, dumps, pointer_to
from apps.common.json_schema import Checker
from apps.common.validation import InvalidInput

MOST_LISTED = 20  # places of a payload that does not fit
MOST_SCHEMAS = 256  # compiled ones that a process keeps


def declare(
    organization_id: UUID,
    name: str,
    *,
    schema: dict[str, Any] | bool | None = None,
    schema_name: str = "",
    description: str = "",
    max_deliveries: int = MAX_DELIVERIES,
) -> Channel:
    """Make a channel what it should be and give it; raise InvalidInput for a wrong name or schema.

    Messages that are there already stay as they are: the schema is asked when somebody publishes.
    """
    if schema is not None:
        Checker(schema)
    with scope(organization=organization_id), transaction.atomic():
        channel = locked(organization_id, name)
        channel.schema, channel.schema_name = schema, schema_name or _name_in(schema)
        channel.description, channel.max_deliveries = description, max_deliveries
        channel.save(update_fields=["schema", "schema_name", "description", "max_deliveries"])
    return channel


def create(organization_id: UUID, name: str, *, description: str = "") -> Channel:
    """Make a channel that takes any JSON; raise InvalidInput for a wrong name, and Conflict for one that is taken."""
    checked_name(name, "channel")
    with scope(organization=organization_id):
        channel, is_new = Channel.objects.get_or_create(
            organization_id=organization_id, name=name, defaults={"description": description}
        )
    if not is_new:
        raise Conflict(f"There is a channel '{name}' already.", code="name_taken")
    return channel


def locked(organization_id: UUID, name: str) -> Channel:
    """Give the channel, made where there is none, held until the transaction ends."""
    checked_name(name, "channel")
    found = Channel.objects.select_for_update().filter(name=name).first()
    if found is None:
        new = Channel(organization_id=organization_id, name=name)
        Channel.objects.bulk_create([new], ignore_conflicts=True)  # somebody else may have been faster
        found = Channel.objects.select_for_update().get(name=name)
    return found


def join(organization_id: UUID, channel: str, group: str, *, only_new: bool = False) -> ChannelGroup:
    """Give the group of a channel; a new one has all messages to read that there are, or only those to come."""
    checked_name(group, "group")
    with scope(organization=organization_id):
        known = ChannelGroup.objects.filter(channel__name=checked_name(channel, "channel"), name=group).first()
        return known or _new_group(organization_id, channel, group, only_new=only_new)


@transaction.atomic
def _new_group(organization_id: UUID, channel: str, name: str, *, only_new: bool) -> ChannelGroup:
    # Under the channel's lock nobody publishes: each message is either before the group or finds it.
    owner = locked(organization_id, channel)
    group, is_new = ChannelGroup.objects.get_or_create(organization_id=organization_id, channel=owner, name=name)
    if is_new and not only_new:
        waiting = owner.messages.filter(expires_at__gt=Now()).order_by("seq").only("pk", "seq", "expires_at")
        deliveries = (
            Delivery(organization_id=organization_id, group=group, message=one, seq=one.seq, expires_at=one.expires_at)
            for one in waiting.iterator()
        )
        Delivery.objects.bulk_create(deliveries, batch_size=1000)
    return group


def delete_channel(channel: Channel) -> None:
    """Delete a channel of the organization in scope with its messages; the next message makes a new one."""
    with transaction.atomic():
        Channel.objects.select_for_update().filter(pk=channel.pk).first()  # nobody publishes meanwhile
        name, organization_id = channel.name, channel.organization_id
        channel.delete()
        transaction.on_commit(lambda: streams.forget(organization_id, name))


def delete_group(channel: Channel, name: str) -> None:
    """Delete a group with what it had to read, or raise NotFound; a reader that goes on makes it again."""
    with transaction.atomic():
        Channel.objects.select_for_update().filter(pk=channel.pk).first()
        deleted, _ = ChannelGroup.objects.filter(channel=channel, name=name).delete()
    if not deleted:
        raise NotFound(f"The channel '{channel.name}' has no group '{name[:100]}'.", code="group_not_found")


def check_against_schema(channel: Channel, payload: JSON) -> None:
    """Raise InvalidInput with each place of the payload that does not fit the channel's schema."""
    if channel.schema is None:
        return
    checker = _checker(dumps(channel.schema))
    if checker.is_valid(payload):
        return
    items = [
        ErrorItem(f"/payload{pointer_to(*path)}", "schema_mismatch", message)
        for (path, message), _ in zip(checker.failures(payload), range(MOST_LISTED), strict=False)
    ]
    places = "; ".join(f"{item.pointer}: {item.message}" for item in items)
    named = f" '{channel.schema_name}'" if channel.schema_name else ""
    raise InvalidInput(
        f"The payload does not fit the schema{named} of the channel '{channel.name}': {places}.", errors=items
    )


@lru_cache(MOST_SCHEMAS)
def _checker(schema: bytes) -> Checker:
    return Checker(orjson.loads(schema))


def _name_in(schema: Any) -> str:
    named = schema if isinstance(schema, dict) else {}
    return str(named.get("title") or named.get("$id") or "")[:100]
