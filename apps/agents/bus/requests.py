"""Asking for a reply, and giving one."""

from collections.abc import Callable

from django.db.models import F
from django.db.models.functions import Now
from django_scopes import scope

from apps.agents.bus import streams
from apps.agents.bus.messages import Message, NoReply, Options, Sender, message_of
from apps.agents.bus.publishing import Kind, publish
from apps.agents.models import Channel, ChannelMessage
from apps.common.asyncio_loop import Cancelled
from apps.common.database import release_connection
from apps.common.errors import Fatal
from apps.common.json import JSON
from apps.integrations.tools import never

REPLIES = ".replies"  # behind a channel's name: where replies to its requests come
LONGEST_BEFORE = 92  # characters that leave room for it
MOST_SECONDS = 3600.0


def request(
    channel: str, payload: JSON, sender: Sender, *, timeout: float, idempotency_key: str | None = None
) -> Message:
    """Publish a request, which expires after `timeout` seconds; `await_reply` waits for what comes of it."""
    options = Options(
        kind=Kind.REQUEST,
        reply_to=f"{channel[:LONGEST_BEFORE]}{REPLIES}",
        expires_in=min(max(timeout, 0.0), MOST_SECONDS),
    )
    return publish(channel, payload, sender, options, idempotency_key=idempotency_key)


def await_reply(asked: Message, *, cancelled: Callable[[], bool] = never) -> Message:
    """Give the first reply; raise NoReply when none has come until the request expires, and Cancelled.

    A reply that came too late, but is there when somebody asks, counts.
    """
    while True:
        newest = _newest(asked)  # before the look: what comes behind it wakes
        found, left = _reply_to(asked), _seconds_left(asked)
        if found is not None:
            return found
        if left <= 0:
            raise NoReply(f"Nobody has replied in time to the request {asked.id} on '{asked.channel}'.")
        if cancelled():
            raise Cancelled("The work was cancelled.")
        release_connection()
        seconds = min(left, streams.LOOK_SECONDS)
        streams.wait_for_news(asked.organization_id, asked.reply_to, after=newest, seconds=seconds)


def reply(asked: Message, payload: JSON, sender: Sender, *, idempotency_key: str | None = None) -> Message:
    """Answer a request, on the channel that it names; the first reply counts."""
    if not asked.reply_to:
        raise Fatal(f"The message {asked.id} is no request: nobody waits for a reply.", code="not_a_request")
    options = Options(kind=Kind.REPLY, correlation_id=asked.id, causation_id=asked.id)
    return publish(asked.reply_to, payload, sender, options, idempotency_key=idempotency_key)


def _newest(asked: Message) -> int:
    with scope(organization=asked.organization_id):
        return Channel.objects.filter(name=asked.reply_to).values_list("last_seq", flat=True).first() or 0


def _reply_to(asked: Message) -> Message | None:
    with scope(organization=asked.organization_id):
        found = ChannelMessage.objects.filter(
            correlation_id=asked.id, kind=Kind.REPLY, channel__name=asked.reply_to
        ).order_by("seq")
        row = found.first()
        return None if row is None else message_of(row, asked.reply_to)


def _seconds_left(asked: Message) -> float:
    """Ask the database's clock; a request that has been deleted is long over."""
    with scope(organization=asked.organization_id):
        left = ChannelMessage.objects.filter(pk=asked.id).values_list(F("expires_at") - Now(), flat=True).first()
        return left.total_seconds() if left is not None else 0.0
