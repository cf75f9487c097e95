"""Texts of memory: what can be stored, how long it is to a model, and how it is shown to one as data."""

import re
from collections.abc import Iterable

from apps.agents.data_blocks import RULE, block
from apps.common.json import dumps
from apps.integrations.language_models import Message

CHARACTERS_OF_A_TOKEN = 4  # the rule of thumb: what counts exactly is the model's own
TOKENS_OF_A_MESSAGE = 4
ELLIPSIS = "…"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Give the text with U+FFFD in place of what PostgreSQL does not keep."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def tokens_of(messages: Iterable[Message]) -> int:
    """Say about how many tokens these messages are."""
    return sum(TOKENS_OF_A_MESSAGE + _length(message) // CHARACTERS_OF_A_TOKEN + 1 for message in messages)


def _length(message: Message) -> int:
    calls = len(dumps(message.tool_calls)) if message.tool_calls else 0
    return len(message.content) + calls


def cut(text: str, most: int) -> str:
    """Give the text, or its beginning and an ellipsis where it has more characters."""
    return text if len(text) <= most else text[: max(0, most - 1)] + ELLIPSIS


def data_block(title: str, text: str) -> Message:
    """Give a message that shows untrusted text as data, with what it is."""
    return Message(role="user", content=f"{title} {RULE}\n{block(text)}")
