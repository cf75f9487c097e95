"""Talking with an agent that somebody makes: its answer as it comes, and each tool that it uses on the way."""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from apps.agents.context import LocalContext
from apps.agents.llm.loop import Answer, Task, answer
from apps.agents.llm.source import WITH_INPUT
from apps.agents.llm.spec import AgentSpec
from apps.common.asyncio_loop import Cancelled, run_coroutine
from apps.common.database import release_connection
from apps.common.errors import DomainError, Fatal, Retryable
from apps.common.json import JSON, dumps
from apps.integrations.language_models.shapes import Message

SECONDS = 300.0
SILENCE_SECONDS = 10.0  # after which a comment keeps the connection open

MOST_SHOWN = 4000  # characters of what a tool gave

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Piece:
    """Something that happens in a conversation: `text`, `tool`, `answer` or `error`, with its facts; or `silence`."""

    kind: str
    facts: JSON


SILENCE = Piece("silence", {})
Tell = Callable[[Piece | None], object]  # None at the end


class ChatContext(LocalContext):
    """A context that tells of every piece of an answer and every call of a tool."""

    def __init__(self, organization_id: UUID, tell: Tell, **facts: Any) -> None:
        super().__init__(organization_id, hear=self._hears, **facts)
        self._tell = tell

    def _hears(self, text: str) -> None:
        if text:
            self._tell(Piece("text", {"text": text}))

    async def acall_tool(self, name: str, input: JSON = None, *, call_id: str = "") -> JSON:  # noqa: A002
        try:
            result = await super().acall_tool(name, input, call_id=call_id)
        except (Fatal, DomainError, Retryable) as error:
            self._tell(Piece("tool", {"name": name, "arguments": input, "error": str(error)}))
            raise
        self._tell(Piece("tool", {"name": name, "arguments": input, "result": dumps(result).decode()[:MOST_SHOWN]}))
        return result


@dataclass(frozen=True)
class Conversation:
    """Something that is said to an agent, after what was said before.

    It is iterated once, in a thread or on an event loop, for the pieces as they come and at last the answer or the
    error. Who stops ends it: the model is not asked any further.
    """

    spec: AgentSpec
    message: str
    history: Sequence[Message]
    organization_id: UUID
    agent: str
    caller: str

    def __iter__(self) -> Iterator[Piece]:
        pieces: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        ctx = self._begin(pieces.put)
        try:
            while (piece := _next(pieces)) is not None:
                yield piece
        finally:
            ctx.cancel()

    async def __aiter__(self) -> AsyncGenerator[Piece]:
        """Do the same under an event loop, which waits on no thread: there are few of those for many who listen."""
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Piece | None]()
        ctx = self._begin(lambda piece: loop.call_soon_threadsafe(pieces.put_nowait, piece))
        try:
            while (piece := await _anext(pieces)) is not None:
                yield piece
        finally:
            ctx.cancel()

    def _begin(self, tell: Tell) -> ChatContext:
        ctx = ChatContext(
            self.organization_id, tell, agent=self.agent, caller=self.caller, log=log.bind(agent=self.agent)
        )
        threading.Thread(target=_talk, args=(self.spec, self._task(), ctx, tell), name="chat", daemon=True).start()
        return ctx

    def _task(self) -> Task:
        """What is said now; what tools gave before is others' words still."""
        is_tainted = any(said.role == "tool" for said in self.history)
        if self.spec.input_schema is not None:
            return Task(WITH_INPUT, [self.message], self.history, is_tainted=is_tainted)
        return Task(self.message, history=self.history, is_tainted=is_tainted)


def _next(pieces: "queue.SimpleQueue[Piece | None]") -> Piece | None:
    try:
        return pieces.get(timeout=SILENCE_SECONDS)
    except queue.Empty:
        return SILENCE


async def _anext(pieces: "asyncio.Queue[Piece | None]") -> Piece | None:
    try:
        return await asyncio.wait_for(pieces.get(), SILENCE_SECONDS)
    except TimeoutError:
        return SILENCE


def _talk(spec: AgentSpec, task: Task, ctx: ChatContext, tell: Tell) -> None:
    try:
        found = run_coroutine(answer(spec, task, ctx), SECONDS, lambda: ctx.cancelled)
        tell(Piece("answer", _facts(found)))
    except (Fatal, Retryable, DomainError) as error:
        tell(Piece("error", {"code": error.code, "message": str(error)}))
    except TimeoutError:
        tell(Piece("error", {"code": "timeout", "message": f"No answer came within {SECONDS:g} s."}))
    except Cancelled:
        pass
    except Exception:
        log.exception("A conversation broke off.", action="chat_failed", agent=ctx.agent)
        tell(Piece("error", {"code": "error", "message": "The agent broke off; the server's log says why."}))
    finally:
        with suppress(RuntimeError):  # the loop of who listened has ended
            tell(None)
        release_connection()


def _facts(found: Answer) -> JSON:
    history = [message for message in found.messages if message.role != "system"]
    return {
        "text": found.text,
        "output": found.output,
        "model": found.model,
        "is_demo": found.is_demo,
        "turns": found.turns,
        "tokens": found.tokens,
        "cost_usd": found.cost_micro_usd / 1_000_000,
        "history": [message.model_dump(mode="json", exclude_defaults=True) for message in history],
    }
