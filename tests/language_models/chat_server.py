"""A server that speaks OpenAI's chat protocol as its reference says, and misbehaves in the ways that servers do.

https://platform.openai.com/docs/api-reference/chat and .../chat-streaming
"""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn


@dataclass
class Answer:
    """What the server does with one question."""

    text: str = "Hello"
    calls: Sequence[tuple[str, str]] = ()  # names of tools, with their arguments as text
    usage: tuple[int, int] = (11, 7)
    cached: int = 0
    reasoning: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: Any = None  # the body of a refusal
    ended: str | None = None
    seconds: float = 0.0  # that it takes
    cut_after: int | None = None  # pieces, after which the connection breaks
    hang_after: int | None = None  # pieces, after which nothing comes any more
    garbage: bytes | None = None  # instead of the second piece
    streams: bool = True


@dataclass
class ChatServer:
    """The running server: where it is, what it was asked, and what it says next."""

    url: str
    address: str
    answer: Callable[[dict[str, Any]], Answer]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    usage: list[tuple[int, int]] = field(default_factory=list)  # that it said it took, of answers it sent whole

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        question = json.loads(body)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append(question)
        self.keys.append(headers.get("authorization", ""))
        await self._reply(self.answer(question), send)

    async def _reply(self, answer: Answer, send: Any) -> None:
        if answer.status != 200:
            await _send(send, answer.status, json.dumps(answer.error).encode(), answer.headers)
            return
        if not answer.streams:
            self.usage.append(answer.usage)
            await _send(send, 200, json.dumps(_whole(answer)).encode(), {"content-type": "application/json"})
            return
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
        await send(start)
        place = 0
        async for piece in _pieces(answer):
            if answer.cut_after == place:
                raise ConnectionAbortedError
            if answer.hang_after == place:
                await asyncio.sleep(3600)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            place += 1
        self.usage.append(answer.usage)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})


async def _send(send: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _pieces(answer: Answer) -> AsyncIterator[bytes]:
    words = answer.text.split(" ") if answer.text else []
    chunks = [_chunk({"role": "assistant", "content": ""})]
    chunks += [_chunk({"content": (" " if place else "") + word}) for place, word in enumerate(words)]
    for place, (name, arguments) in enumerate(answer.calls):
        chunks.append(
            _chunk(
                {
                    "tool_calls": [
                        {
                            "index": place,
                            "id": f"c{place}",
                            "type": "function",
                            "function": {"name": name, "arguments": ""},
                        }
                    ]
                }
            )
        )
        half = len(arguments) // 2
        chunks += [
            _chunk({"tool_calls": [{"index": place, "function": {"arguments": part}}]})
            for part in (arguments[:half], arguments[half:])
        ]
    ended = answer.ended or ("tool_calls" if answer.calls else "stop")
    chunks += [_chunk({}, ended), {**_frame(), "choices": [], "usage": _usage(answer)}]
    for place, chunk in enumerate(chunks):
        await asyncio.sleep(answer.seconds / len(chunks))
        if place == 1 and answer.garbage is not None:
            yield answer.garbage
        else:
            yield b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _frame() -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def _chunk(delta: dict[str, Any], ended: str | None = None) -> dict[str, Any]:
    return {**_frame(), "choices": [{"index": 0, "delta": delta, "finish_reason": ended}]}


def _whole(answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": answer.ended or "stop"}
    return {**_frame(), "object": "chat.completion", "choices": [choice], "usage": _usage(answer)}


def _usage(answer: Answer) -> dict[str, Any]:
    asked, answered = answer.usage
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": answer.cached},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning},
    }


def in_turn(*answers: Answer) -> Callable[[dict[str, Any]], Answer]:
    """Give these answers one after the other, and the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def chatting(answer: Callable[[dict[str, Any]], Answer] | Answer | None = None) -> Iterator[ChatServer]:
    """A server on a free port of loopback for as long as the block lasts."""
    said = answer if callable(answer) else in_turn(answer or Answer())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1000)  # who comes before the server is up waits for it
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        app = ChatServer(f"http://{address}/v1", address, said)
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield app
        finally:
            server.should_exit = server.force_exit = True
            thread.join(5)
