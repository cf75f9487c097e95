"""`ctx.session`: the conversation that a node goes on with, as its agent sees it."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from apps.agents.memory.short_term import Turn
from apps.agents.memory.summarising import summarised
from apps.agents.memory.turns import Said, Source, add_turns, find_session, keep_summary, turns_after
from apps.agents.memory.window import FEWEST_TOKENS, USUAL_TOKENS, Parted, Window, most_characters, part
from apps.agents.memory.writing import storable
from apps.agents.models.memory import LONGEST_KEY
from apps.common.asyncio_loop import run_coroutine
from apps.common.database import on_thread
from apps.common.errors import Fatal
from apps.common.json import JSON
from apps.integrations.language_models import Message

if TYPE_CHECKING:
    from apps.agents.context import Context

USUAL_TURNS = 50
MOST_TURNS = 200  # what is read is recorded, and has to fit there


class Session:
    """The conversation with this `key`, which any run may go on with.

    What is read and what is added is recorded like a `step`: a new attempt sees what the first one saw, and adds
    nothing twice. A session is made by the first turn that is added to it.
    """

    def __init__(self, ctx: "Context", key: str) -> None:
        self.key = key
        self._ctx = ctx
        self._numbers = itertools.count(1)  # of what is added here: the same in every attempt

    def messages(self, limit: int = USUAL_TURNS) -> list[Message]:
        """Give the last messages, at most 200, in order."""
        return self._heard(self._ctx.step("session:messages", self._latest, limit))

    async def amessages(self, limit: int = USUAL_TURNS) -> list[Message]:
        """Do what `messages` does, for async code."""
        return self._heard(await self._ctx.astep("session:messages", on_thread, self._latest, limit))

    def add(self, *messages: Message, tainted: bool | None = None) -> None:
        """Add messages to the session. `tainted` says whether they were made of what came from outside.

        Without it that is what `ctx.tainted` says; what a user says is their own. A system message is refused with
        Fatal: what is remembered is never an instruction.
        """
        self._ctx.step("session:add", self._add, self._said(messages, tainted))

    async def aadd(self, *messages: Message, tainted: bool | None = None) -> None:
        """Do what `add` does, for async code."""
        await self._ctx.astep("session:add", on_thread, self._add, self._said(messages, tainted))

    def window(
        self, tokens: int = USUAL_TOKENS, *, model: str | None = None, options: dict[str, Any] | None = None
    ) -> Window:
        """Give the last turns and a summary of those before, together at most so many tokens (by a rule of thumb).

        When there is more, the older half is summarised: by `model` with these `options`, else by the node's model,
        else by picking its most telling sentences. The summary is kept, so the next window begins with it.
        """
        window = self.awindow(tokens, model=model, options=options)
        return run_coroutine(window, cancelled=lambda: self._ctx.cancelled)

    async def awindow(
        self, tokens: int = USUAL_TOKENS, *, model: str | None = None, options: dict[str, Any] | None = None
    ) -> Window:
        """Do what `window` does, for async code."""
        ctx, wanted = self._ctx, max(FEWEST_TOKENS, tokens)
        parted = Parted.model_validate(await ctx.astep("session:window", on_thread, self._part, wanted))
        ctx.tainted = ctx.tainted or parted.tainted
        summary, seq = parted.summary, parted.summary_seq
        if parted.older:
            seq = parted.older[-1].seq
            most = most_characters(wanted)
            text = await summarised(ctx, summary, parted.older, most, model=model or ctx.model, options=options or {})
            summary = await ctx.astep("session:summary", on_thread, self._keep_summary, seq, text, parted.tainted)
        return Window(summary=summary, summary_seq=seq, turns=parted.turns, tainted=parted.tainted)

    def _latest(self, limit: int) -> JSON:
        session = find_session(self._ctx.organization_id, self.key)
        if session is None:
            return []
        turns = turns_after(session, max(0, session.last_seq - min(max(limit, 1), MOST_TURNS)))
        while turns and turns[0].message.role == "tool":
            turns = turns[1:]  # the call that it answers is not among them
        return _dumped(turns)

    def _heard(self, written: list[JSON]) -> list[Message]:
        turns = [Turn.model_validate(one) for one in written]
        self._ctx.tainted = self._ctx.tainted or any(turn.tainted for turn in turns)
        return [turn.message for turn in turns]

    def _said(self, messages: Sequence[Message], tainted: bool | None) -> list[Said]:
        if any(message.role == "system" for message in messages):
            raise Fatal("A session keeps no system messages: what is remembered is no instruction.", code="no_turn")
        beginning = f"{self._ctx.idempotency_key()}:turn"
        return [
            Said(f"{beginning}:{next(self._numbers)}", message, self._is_tainted(message, tainted))
            for message in messages
        ]

    def _is_tainted(self, message: Message, tainted: bool | None) -> bool:
        return (self._ctx.tainted and message.role != "user") if tainted is None else tainted

    def _add(self, said: Sequence[Said]) -> JSON:
        return add_turns(source_of(self._ctx), self.key, said)

    def _part(self, tokens: int) -> JSON:
        session = find_session(self._ctx.organization_id, self.key)
        if session is None:
            return {}
        parted = part(
            turns_after(session, session.summary_seq),
            tokens,
            summary=session.summary,
            summary_seq=session.summary_seq,
            tainted=session.summary_tainted,
        )
        return parted.model_dump(mode="json")

    def _keep_summary(self, seq: int, summary: str, tainted: bool) -> JSON:
        return keep_summary(self._ctx.organization_id, self.key, seq=seq, summary=summary, tainted=tainted)


def source_of(ctx: "Context") -> Source:
    """Say who writes."""
    return Source(
        organization_id=ctx.organization_id, agent=ctx.agent, run_id=ctx.run_id, node=ctx.node or "", visit=ctx.visit
    )


def key_of(value: JSON) -> str | None:
    """Give the key that a node's field `session` names: a text or a whole number; None for nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        message = "The field 'session' must be a text or a whole number."
        raise Fatal(f"{message} Write it as an expression that gives one.", code="invalid_session")
    key = storable(str(value)).strip()
    if not 0 < len(key) <= LONGEST_KEY:
        raise Fatal(f"The field 'session' must have 1 to {LONGEST_KEY} characters.", code="invalid_session")
    return key


def _dumped(turns: Sequence[Turn]) -> JSON:
    return [turn.model_dump(mode="json") for turn in turns]
