"""One question and its answer as they are recorded: what a run's journal keeps, and what its page shows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.common.json import JSON
from apps.integrations.language_models import registry
from apps.integrations.language_models.registry import DEFAULT, WITHOUT_ANY, Hear, LanguageModel
from apps.integrations.language_models.shapes import Message, Reply, Request

STEP = "model:"  # what the name of such a record begins with in a journal; the model's follows


@dataclass
class Conversation:
    """What has been said so far, so that a record holds only what is new."""

    said: list[Message] = field(default_factory=list)

    def common_with(self, messages: Sequence[Message]) -> int:
        """Count the first messages that have been said in an earlier question."""
        pairs = zip(self.said, messages, strict=False)
        return next((place for place, (old, new) in enumerate(pairs) if old != new), min(len(self.said), len(messages)))

    def go_on(self, messages: Sequence[Message], reply: Reply) -> None:
        """Add an answer to what it answered."""
        self.said = [*messages, reply.message]


def deaf(_text: str) -> None:
    """Hear an answer where nobody watches."""


class Listener:
    """Hears an answer, and when its first piece came; the piece of a call of a tool has no text."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._began = time.monotonic()
        self.first: float | None = None

    def __call__(self, text: str) -> None:
        self.first = self.seconds if self.first is None else self.first
        if text:
            self._hear(text)

    @property
    def seconds(self) -> float:
        """Give how long it has been."""
        return time.monotonic() - self._began


async def ask_plainly(request: Request, known: int) -> JSON:
    """Ask a model that code brings, where there is no organization to ask for, as in the tests of a plugin's agent.

    Gives the record. Raises NotFound for an unknown model, and whatever the model raises.
    """
    model = registry.get(WITHOUT_ANY if request.model in {"", DEFAULT} else request.model)
    request = request.model_copy(update={"options": registry.options_for(model, request.options)})
    listener = Listener(deaf)
    reply = await model.answer(request, listener)
    return {**record_of(model.name, model, request, reply, listener), **said(request, known)}


def reply_in(record: Any) -> Reply:
    """Give the answer that a record holds."""
    known = {name: record[name] for name in ("usage", "ended", "model", "is_demo") if name in record}
    return Reply.model_validate({"message": record["reply"], **known})


def record_of(name: str, model: LanguageModel, request: Request, reply: Reply, listener: "Listener") -> dict[str, Any]:
    """Give the record of an answer, without what was said to the model."""
    record: dict[str, Any] = {
        "model": name,
        "served_by": model.name,
        "is_demo": model.is_demo,
        "options": request.options,
        "reply": _written(reply.message),
        "ended": reply.ended,
        "usage": reply.usage.model_dump(mode="json"),
        "seconds": round(listener.seconds, 3),
    }
    return record if listener.first is None else {**record, "first_token_seconds": round(listener.first, 3)}


def said(request: Request, known: int) -> dict[str, Any]:
    """Give what was said to the model, after the messages that are known."""
    return {
        "messages": [_written(message) for message in request.messages[known:]],
        "tools": [tool.name for tool in request.tools],
    }


def _written(message: Message) -> dict[str, Any]:
    return message.model_dump(mode="json", exclude_defaults=True)
