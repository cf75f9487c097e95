"""Talking with an agent that somebody makes: its answer as it comes, and each tool that it uses on the way."""

import queue
import threading
from collections.abc import Iterator, Sequence
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

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Piece:
    """Something that happens in a conversation: `text`, `tool`, `answer` or `error`, with its facts; or `silence`."""

    kind: str
    facts: JSON


class ChatContext(LocalContext):
    """A context that tells of every call of a tool."""

    def __init__(self, organization_id: UUID, tell: "queue.SimpleQueue[Piece | None]", **facts: Any) -> None:
        super().__init__(organization_id, hear=lambda text: tell.put(Piece("text", {"text": text})), **facts)
        self._tell = tell

    async def acall_tool(self, name: str, input: JSON = None) -> JSON:  # noqa: A002
        try:
            result = await super().acall_tool(name, input)
        except (Fatal, DomainError, Retryable) as error:
            self._tell.put(Piece("tool", {"name": name, "arguments": input, "error": str(error)}))
            raise
        self._tell.put(Piece("tool", {"name": name, "arguments": input, "result": dumps(result).decode()[:4000]}))
        return result


def chat(
    spec: AgentSpec, message: str, history: Sequence[Message], *, organization_id: UUID, agent: str, caller: str
) -> Iterator[Piece]:
    """Give the conversation's next pieces as they come, and at last the answer or the error.

    Who stops reading ends it: the model is not asked any further.
    """
    pieces: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
    ctx = ChatContext(organization_id, pieces, agent=agent, caller=caller, log=log.bind(agent=agent))
    task = Task(WITH_INPUT, [message], history) if spec.input_schema else Task(message, history=history)
    threading.Thread(target=_talk, args=(spec, task, ctx, pieces), name="chat", daemon=True).start()
    try:
        while (piece := _next(pieces)) is not None:
            yield piece
    finally:
        ctx.cancel()


def _next(pieces: "queue.SimpleQueue[Piece | None]") -> Piece | None:
    try:
        return pieces.get(timeout=SILENCE_SECONDS)
    except queue.Empty:
        return Piece("silence", {})


def _talk(spec: AgentSpec, task: Task, ctx: ChatContext, pieces: "queue.SimpleQueue[Piece | None]") -> None:
    try:
        found = run_coroutine(answer(spec, task, ctx), SECONDS, lambda: ctx.cancelled)
        pieces.put(Piece("answer", _facts(found)))
    except (Fatal, Retryable, DomainError) as error:
        pieces.put(Piece("error", {"code": error.code, "message": str(error)}))
    except TimeoutError:
        pieces.put(Piece("error", {"code": "timeout", "message": f"No answer came within {SECONDS:g} s."}))
    except Cancelled:
        pass
    except Exception:
        log.exception("A conversation broke off.", action="chat_failed", agent=ctx.agent)
        pieces.put(Piece("error", {"code": "error", "message": "The agent broke off; the server's log says why."}))
    finally:
        pieces.put(None)
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
