"""A WSGI application behind an ASGI server: on threads, so many at a time, and so many more in line.

The body is read on the event loop before a thread is taken, so a slow client holds no thread, and the answer goes back
in one piece: a request crosses between loop and thread once in each direction.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from a2wsgi.wsgi import build_environ

# Each of the libraries has its own names for the types of one protocol.
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_IN_MEMORY = 256 * 1024  # more of it waits in a file
BODY_BYTES = 16 * 1024 * 1024  # kept for the application, which reads less; the rest is only read off the wire
REST_BYTES = 64 * 1024 * 1024
BODY_SECONDS = 60.0
PIECE_BYTES = 256 * 1024  # of an answer, at a time


class WsgiThreads:
    """An ASGI application that has a WSGI application answer.

    When `room` requests are being answered or wait for a thread, `turn_away` answers the next one.
    """

    def __init__(self, wsgi: WSGIApplication, *, threads: int, room: int, turn_away: Application) -> None:
        self._wsgi = wsgi
        self._room = room
        self._inside = 0
        self._turn_away = turn_away
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        with tempfile.SpooledTemporaryFile(BODY_IN_MEMORY) as body:
            if not await _is_read(receive, body):
                return  # the client has gone, or takes for ever
            if self._inside >= self._room:
                await self._turn_away(scope, receive, send)
                return
            self._inside += 1
            try:
                await self._answer(scope, body, send)
            finally:
                self._inside -= 1

    async def _answer(self, scope: Scope, body: IO[bytes], send: Send) -> None:
        loop = asyncio.get_running_loop()

        def send_from_thread(messages: list[Any]) -> None:
            asyncio.run_coroutine_threadsafe(_send_all(send, messages), loop).result()

        environ: Any = build_environ(scope, body)  # type: ignore[arg-type]
        rest = await loop.run_in_executor(self._threads, _Answer(send_from_thread).of, self._wsgi, environ)
        await _send_all(send, rest)


@dataclass
class _Answer:
    """What a WSGI application answers, as ASGI messages; a large one is sent piece by piece."""

    send: Callable[[list[Any]], None]
    messages: list[Any] = field(default_factory=list)
    piece: bytearray = field(default_factory=bytearray)

    def of(self, wsgi: WSGIApplication, environ: WSGIEnvironment) -> list[Any]:
        """Have the application answer on this thread; gives the messages that have not been sent."""
        chunks = wsgi(environ, self._start)  # type: ignore[arg-type]
        try:
            self._take(chunks)
        finally:
            getattr(chunks, "close", lambda: None)()
        return [*self.messages, _body(self.piece, more=False)]

    def _start(self, status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> StartResponse:
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.messages = [{"type": "http.response.start", "status": int(status.split(" ", 1)[0]), "headers": encoded}]
        return self.piece.extend  # type: ignore[return-value]

    def _take(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            self.piece += chunk
            if len(self.piece) >= PIECE_BYTES:
                self.send([*self.messages, _body(self.piece, more=True)])
                self.messages, self.piece = [], bytearray()


def _body(piece: bytearray, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": bytes(piece), "more_body": more}


async def _send_all(send: Send, messages: list[Any]) -> None:
    for message in messages:
        await send(message)


async def _is_read(receive: Receive, body: IO[bytes]) -> bool:
    """Read the request's body to its end, and tell whether it came.

    Also what is too much is read, within bounds: a server that closes the connection before resets it, and the client
    that still sends never sees the answer. A refusal would look like a broken network.
    """
    length = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BODY_SECONDS):
            while (message := await receive())["type"] == "http.request":
                part = message.get("body", b"")
                if length < BODY_BYTES:
                    body.write(part)
                length += len(part)
                if not message.get("more_body", False) or length > REST_BYTES:
                    body.seek(0)
                    return True
    return False
