"""Putting a question together: what the agent is told to do, and beside it what it is only to read."""

from collections.abc import Sequence

from apps.agents.data_blocks import RULE, block
from apps.common.json import JSON, dumps
from apps.integrations.language_models.shapes import Message


def opening(
    instructions: str, task: str, material: Sequence[str], history: Sequence[Message] = ()
) -> tuple[Message, ...]:
    """Give the first messages: who the agent is, what was said before, and the task with its material in blocks."""
    told = "\n\n".join(filter(None, [instructions, RULE if material else ""]))
    system = (Message(role="system", content=told),) if told else ()
    asked = "\n\n".join([task, *map(block, material)])
    return (*system, *history, Message(role="user", content=asked))


def texts_of(context: JSON) -> list[str]:
    """Give a context as a model reads it: texts as they are, of other agents' results their text, JSON of the rest."""
    if context is None:
        return []
    return [_text(part) for part in (context if isinstance(context, list) else [context])]


def _text(part: JSON) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        part = part["text"]
    return part if isinstance(part, str) else dumps(part).decode()
