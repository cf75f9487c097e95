from collections.abc import Iterator
from typing import Any

from apps.agents.bus import exchange as bus
from apps.agents.bus import overview, streams
from apps.agents.bus.messages import Message, message_of
from apps.agents.bus.serializers import channel_json, message_json
from apps.agents.models import Channel
from apps.common import json
from apps.common.commands import OrchestraCommand, argument, subcommand
from apps.common.documents import read_document
from apps.common.outcomes import invalid_request
from apps.common.redaction import redact_value
from apps.common.validation import InvalidInput

CHANNEL = argument("channel", metavar="CHANNEL")
MOST_CHARACTERS = 100  # of a payload in a line


class Command(OrchestraCommand):
    help = "Shows the channels between agents, follows one, and publishes."

    @subcommand()
    def channels(self) -> None:
        """List the channels with what their groups have still to read."""
        self.table(map(self._row, overview.channels().order_by("name")), ["name", "published", "groups", "lag", "dead"])

    @subcommand(
        CHANNEL,
        argument("--limit", type=int, default=10, metavar="N", help="begin with the newest so many (10)"),
        argument("--follow", action="store_true", help="go on with what comes, until Ctrl-C"),
    )
    def tail(self, channel: str, limit: int, follow: bool) -> None:
        """Show the newest messages, and with --follow what comes; looking takes them from nobody."""
        found = overview.find_channel(channel)
        newest = list(overview.messages(found).order_by("-seq")[: max(0, limit)])[::-1]
        for row in newest:
            self._show(message_of(row, found.name))
        for message in self._coming(found) if follow else ():
            self._show(message)

    @subcommand(
        CHANNEL,
        argument("payload", nargs="?", default="{}", metavar="JSON", help="JSON, @FILE, or - for standard input"),
        argument("--capability", default="", metavar="NAME", help="only agents with it are meant"),
    )
    def publish(self, channel: str, payload: str, capability: str) -> None:
        """Publish a message; a channel that is not there is made."""
        sender = bus.Sender(organization_id=self.organization.pk, origin="command")
        kind = "broadcast" if channel == bus.BROADCAST else "event"
        options = bus.Options(kind=kind, capability=capability)
        try:
            message = bus.publish(channel, read_document(payload), sender, options)
        except InvalidInput as wrong:
            raise invalid_request(wrong, "") from None
        view = message_json(message)
        self.show_value(view if self.json else {name: view[name] for name in ("id", "channel", "seq")})
        self.next_step(f"bin/manage bus tail {channel}")

    def _row(self, channel: Channel) -> dict[str, Any]:
        view = channel_json(channel)
        if self.json:
            return dict(view)
        groups = view["groups"]
        dead = sum(group["dead_letters"] for group in groups)
        return {**view, "groups": len(groups), "lag": max((group["lag"] for group in groups), default=0), "dead": dead}

    def _coming(self, channel: Channel) -> Iterator[Message]:
        seen = channel.last_seq
        while True:
            for row in overview.messages(channel).filter(seq__gt=seen).order_by("seq"):
                seen = row.seq
                yield message_of(row, channel.name)
            streams.wait_for_news(self.organization.pk, channel.name, after=seen, seconds=streams.LOOK_SECONDS)

    def _show(self, message: Message) -> None:
        text = json.dumps(redact_value(message.payload)).decode()
        shown = text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
        self.item(message_json(message), f"{message.created_at:%H:%M:%S}  {message.seq}  {message.kind}  {shown}")
