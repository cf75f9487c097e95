"""What models are saying to the nodes of a run right now, for who watches it.

It is kept in Redis alone and for minutes: what was said to its end stands in the journal.
"""

from typing import Any
from uuid import UUID

import orjson

from apps.common import redis
from apps.workflows.dispatch import TEXTS

Event = dict[str, Any]


class LiveTexts:
    """The texts of one run as one reader has them."""

    def __init__(self, run: UUID) -> None:
        self._key = TEXTS + str(run)
        self._known: dict[str, Event] = {}

    def news(self) -> list[Event]:
        """Give a `text` event for each text that has grown, begun or gone since the last look.

        `from` is where the piece in `text` begins; an empty one at 0 says that the text is no longer spoken.
        """
        now = self._read()
        gone = [_event(name, old, 0, "") for name, old in self._known.items() if name not in now]
        grown = [event for name, new in now.items() if (event := self._grown(name, new)) is not None]
        self._known = now
        return gone + grown

    def _read(self) -> dict[str, Event]:
        found: dict[Any, Any] = redis.ask(lambda client: client.hgetall(self._key)) or {}
        return {name.decode(): orjson.loads(text) for name, text in found.items()}

    def _grown(self, name: str, new: Event) -> Event | None:
        before, text = self._known.get(name, {}).get("text", ""), new["text"]
        begin = len(before) if text.startswith(before) else 0
        return _event(name, new, begin, text[begin:]) if text != before else None


def _event(node_run: str, place: Event, begin: int, text: str) -> Event:
    where = {name: place[name] for name in ("node", "visit", "index")}
    return {"type": "text", "node_run": node_run, **where, "from": begin, "text": text}
