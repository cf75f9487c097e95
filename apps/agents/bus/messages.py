"""What a message is to those who send and read it, and what is refused."""

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from apps.common.errors import ErrorItem, Fatal
from apps.common.json import JSON, NotJson, dumps
from apps.common.validation import InvalidInput

if TYPE_CHECKING:
    from apps.agents.models import ChannelMessage, Delivery

BROADCAST = "broadcast"  # the channel of what is for every agent
MAX_BYTES = 64 * 1024
LEASE_SECONDS = 60.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who publishes: the organization, and where in it."""

    organization_id: UUID
    run_id: UUID | None = None
    node: str | None = None
    origin: str = ""  # agent:greeter, tool:bus.publish, user:alice


@dataclass(frozen=True)
class Signal:
    """The run whose `wait` node a message continues, and the event it waits for."""

    run: UUID
    event: str


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a message may have beside its payload."""

    kind: str = "event"
    correlation_id: UUID | None = None  # the message that the conversation began with
    causation_id: UUID | None = None  # the message that this one follows from
    reply_to: str = ""  # the channel for replies to a request
    capability: str = ""  # only agents with it are meant
    expires_in: float | None = None  # seconds; None: ORCHESTRA_MESSAGE_DAYS
    signal: Signal | None = None  # the run that the message continues


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as a reader gets it.

    - `id` is the same when the message comes twice; `seq` is its place in the channel.
    - `payload` is what was published: any JSON of up to 64 KiB.
    - `run_id`, `node` and `origin` say who published it; None and empty outside a run.
    - `correlation_id` is the message that the conversation began with, `causation_id` the one that this follows from.
    - `deliveries` is 1 the first time a reader of the group gets it.
    """

    id: UUID
    channel: str
    seq: int
    kind: str  # event, request, reply or broadcast
    payload: JSON
    organization_id: UUID
    run_id: UUID | None
    node: str
    origin: str
    correlation_id: UUID | None
    causation_id: UUID | None
    reply_to: str
    capability: str
    schema: str
    created_at: datetime
    expires_at: datetime
    delivery_id: UUID | None = None  # None for what was looked at and not delivered
    deliveries: int = 0

    @property
    def conversation_id(self) -> UUID:
        """The message that the conversation began with, which may be this one."""
        return self.correlation_id or self.id

    def as_record(self) -> dict[str, Any]:
        """Give the message as JSON, for a journal."""
        record: dict[str, Any] = orjson.loads(dumps(asdict(self)))
        return record


class NoReply(Fatal):
    """Nobody has replied in time. The question was asked once, so asking again is for a new visit of the node."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="no_reply")


_IDS = ("id", "organization_id", "run_id", "correlation_id", "causation_id", "delivery_id")
_TIMES = ("created_at", "expires_at")


def message_in(record: dict[str, Any]) -> Message:
    """Give the message that `as_record` has written."""
    ids = {name: UUID(record[name]) for name in _IDS if record[name]}
    return Message(**{**record, **ids, **{name: datetime.fromisoformat(record[name]) for name in _TIMES}})


def message_of(row: "ChannelMessage", channel: str, delivery: "Delivery | None" = None) -> Message:
    """Give a row as its reader sees it."""
    return Message(
        id=row.pk,
        channel=channel,
        seq=row.seq,
        kind=row.kind,
        payload=row.payload,
        organization_id=row.organization_id,
        run_id=row.run_id,
        node=row.node,
        origin=row.origin,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        reply_to=row.reply_to,
        capability=row.capability,
        schema=row.schema_name,
        created_at=row.created_at,
        expires_at=row.expires_at,
        delivery_id=delivery.pk if delivery else None,
        deliveries=delivery.deliveries if delivery else 0,
    )


def checked_name(name: str, what: str) -> str:
    """Give the name of a channel or a group, or raise InvalidInput."""
    if NAME.fullmatch(name):
        return name
    raise _refusal(
        "invalid_name",
        f"{name[:100]!r} cannot be the name of a {what}.",
        "Take 1 to 100 of the characters A-Z a-z 0-9 . _ - and begin with a letter or a digit.",
        pointer=f"/{what}",
    )


def checked_payload(payload: Any) -> JSON:
    """Give the payload as it is stored, or raise InvalidInput when it is no JSON or too large."""
    try:
        written = dumps(payload)
    except NotJson as error:
        raise _refusal("not_json", str(error), "Send what JSON can say.") from None
    if len(written) > MAX_BYTES:
        raise _refusal(
            "payload_too_large",
            f"The payload has {len(written):,} bytes; a message takes {MAX_BYTES:,}.",
            "Keep the large part elsewhere, and send where it is.",
        )
    return orjson.loads(written)


def _refusal(code: str, message: str, fix: str, pointer: str = "/payload") -> InvalidInput:
    return InvalidInput(f"{message} {fix}", errors=[ErrorItem(pointer, code, message, fix)])
