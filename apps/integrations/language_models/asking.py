"""One question to a model, as it is recorded: what a run's journal keeps and what its page shows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.common.json import JSON
from apps.integrations.language_models import registry
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


async def ask(request: Request, known: int) -> JSON:
    """Ask the model and give the record: the messages after those that are known, the answer and what it took.

    Raises NotFound for an unknown model, and whatever the model raises.
    """
    model = registry.get(request.model)
    began = time.monotonic()
    reply = await model.answer(request)
    record: dict[str, Any] = {
        "model": model.name,
        "is_demo": model.is_demo,
        "messages": [_written(message) for message in request.messages[known:]],
        "tools": [tool.name for tool in request.tools],
        "options": request.options,
        "reply": _written(reply.message),
        "usage": reply.usage.model_dump(mode="json"),
        "seconds": round(time.monotonic() - began, 3),
    }
    return record


def reply_in(record: Any) -> Reply:
    """Give the answer that a record holds."""
    return Reply.model_validate({"message": record["reply"], "usage": record["usage"]})


def _written(message: Message) -> dict[str, Any]:
    return message.model_dump(mode="json", exclude_defaults=True)
