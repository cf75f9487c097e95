"""Making few words of a long conversation: by a language model, or without one by its most telling sentences."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from apps.agents.memory.short_term import Turn
from apps.agents.memory.window import SUMMARY_TITLE, pieces
from apps.agents.memory.writing import cut, data_block
from apps.common.errors import Fatal, NotFound, Retryable
from apps.integrations.language_models import Message, Request

if TYPE_CHECKING:
    from apps.agents.context import Context

INSTRUCTIONS = (
    "You summarise conversations for whoever goes on with them. Keep names, figures, decisions, wishes and open "
    "questions; leave out courtesies. Write in the language of the conversation, in whole sentences, in at most "
    "{words} words. Answer with the summary alone."
)
CHARACTERS_OF_A_WORD = 7
TELLING_SENTENCES = 12


async def summarised(
    ctx: "Context", summary: str, turns: Sequence[Turn], most: int, *, model: str | None, options: dict[str, Any]
) -> str:
    """Give a summary of these turns and of what was summarised before, in at most `most` characters.

    A model that fails does not fail the agent: then the most telling sentences are taken.
    """
    for piece in pieces(turns):
        if model is None:
            summary = telling(f"{summary}\n\n{piece}", most)
            continue
        try:
            request = Request(
                model=model, messages=_question(summary, piece, most), options=options, attempt=ctx.attempt
            )
            summary = cut(await _asked(ctx, request), most)
        except (Fatal, NotFound, Retryable) as failed:
            ctx.log.warning("The session is summarised without a model.", reason=str(failed))
            summary = telling(f"{summary}\n\n{piece}", most)
    return summary


async def _asked(ctx: "Context", request: Request) -> str:
    reply = await ctx.aask_model(request)
    if not (text := reply.message.content.strip()):
        raise Fatal("The model gave no summary.", code="no_summary")
    return text


def _question(summary: str, piece: str, most: int) -> tuple[Message, ...]:
    words = max(20, most // CHARACTERS_OF_A_WORD)
    before = [data_block(SUMMARY_TITLE, summary)] if summary else []
    return (
        Message(role="system", content=INSTRUCTIONS.format(words=words)),
        *before,
        data_block("The conversation to summarise, after that summary if there is one.", piece),
    )


def telling(text: str, most: int) -> str:
    """Give the sentences that say most, as many as fit."""
    # Not above: the built-in agents import what this is part of.
    from apps.agents.builtin.text_processor.summary import summary  # noqa: PLC0415

    for sentences in range(TELLING_SENTENCES, 0, -1):
        found = str(summary(text, sentences)["summary"])
        if len(found) <= most:
            return found
    return cut(found, most)
