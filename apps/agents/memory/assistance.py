"""What an agent that talks to a model does with memory: before it asks, and after it has the answer.

    opening = await opening_with_memory(ctx, opening, self.config, model=model.name)
    ...
    await closing_with_memory(ctx, said, self.config, model=model.name)

`opening` is what the model would be told without memory, `said` all that was said after the instructions in the end.
Nothing remembered comes into a system message. Without a session and with nothing configured neither does anything.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from apps.agents.memory.memories import Recalled
from apps.agents.memory.window import USUAL_TOKENS
from apps.agents.memory.writing import cut, data_block
from apps.common.errors import Fatal, NotFound, Retryable
from apps.integrations.language_models import Message, Request

if TYPE_CHECKING:
    from apps.agents.context import Context

MOST_LESSONS = 3
LONGEST_LESSON = 500
NO_LESSON = "none"
QUESTION = (
    "Look back on how this went. Which lessons would help you with other tasks like it? Answer with at most three, "
    "each a sentence on a line of its own, without names and particulars of this case; or with the word 'none'."
)
MEMORIES_TITLE = "You remember this from before; it may be out of date."

_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*")


class MemoryConfig(BaseModel):
    """What a workflow may set of an agent's memory; a base of the agent's Config."""

    recall: int = Field(0, ge=0, le=20, description="How many memories that fit the task the model is told.")
    reflect: bool = Field(False, description="Whether it draws lessons from its work and remembers them.")
    history_tokens: int = Field(
        USUAL_TOKENS,
        ge=400,
        le=200_000,
        description="How much of the session the model is told; older turns as a summary.",
    )


async def opening_with_memory(
    ctx: "Context",
    opening: Sequence[Message],
    config: MemoryConfig,
    *,
    model: str,
    options: dict[str, Any] | None = None,
) -> list[Message]:
    """Put what is remembered between the instructions and the task."""
    instructions = [message for message in opening if message.role == "system"]
    task = [message for message in opening if message.role != "system"]
    memories = await _memories(ctx, task, config.recall)
    if ctx.session is None:
        return [*instructions, *memories, *task]
    window = await ctx.session.awindow(config.history_tokens, model=model, options=options)
    return [*instructions, *memories, *window.messages, *task]


async def _memories(ctx: "Context", task: Sequence[Message], wanted: int) -> list[Message]:
    if not wanted:
        return []
    found = await ctx.arecall("\n\n".join(message.content for message in task), limit=wanted)
    return [data_block(MEMORIES_TITLE, "\n".join(map(_line, found)))] if found else []


def _line(memory: Recalled) -> str:
    return f"- {memory.created_at:%Y-%m-%d} ({memory.kind}): {memory.text}"


async def closing_with_memory(
    ctx: "Context", said: Sequence[Message], config: MemoryConfig, *, model: str, options: dict[str, Any] | None = None
) -> None:
    """Add what was said since the opening to the session, and draw lessons where that is configured.

    `said` begins with the task and ends with the answer: no instructions, nothing remembered.
    """
    if ctx.session is not None:
        await ctx.session.aadd(*said)
    if config.reflect:
        await _reflect(ctx, said, model, options or {})


async def _reflect(ctx: "Context", said: Sequence[Message], model: str, options: dict[str, Any]) -> None:
    """Ask for lessons and remember them; that there are none is no failure of the work that is done already.

    A lesson is for all sessions of the agent, unless it may be somebody else's who wrote what was read: that one
    stays where it came from.
    """
    request = Request(
        model=model,
        messages=(*said, Message(role="user", content=QUESTION)),
        options=options,
        attempt=ctx.attempt,
    )
    try:
        reply = await ctx.aask_model(request)
    except (Fatal, NotFound, Retryable) as failed:
        ctx.log.warning("No lessons were drawn.", reason=str(failed))
        return
    for lesson in lessons_in(reply.message.content):
        await ctx.aremember(
            lesson, kind="reflection", importance=0.7, scope="session" if ctx.tainted and ctx.session else "agent"
        )


def lessons_in(text: str) -> list[str]:
    """Give the lines of an answer that are lessons."""
    lines = [_BULLET.sub("", line).strip() for line in text.splitlines()]
    lessons = [line for line in lines if line and line.casefold().strip(" .'\"") != NO_LESSON]
    return [cut(lesson, LONGEST_LESSON) for lesson in lessons[:MOST_LESSONS]]
