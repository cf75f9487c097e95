"""A TCP proxy that behaves as badly as it is told to.

    with FaultProxy("127.0.0.1", 5432) as proxy:
        connect(port=proxy.port)
        proxy.behave(Behaviour(silent=True))    # from now on nothing arrives any more, and no connection is closed
        proxy.cut()                             # every connection is reset

It lives on a thread of its own, so that any other thread may use what it stands before.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

T = TypeVar("T")

CHUNK = 65536
LOOK_SECONDS = 0.02  # how late a silent connection notices that it may speak again
RESET = struct.pack("ii", 1, 0)  # SO_LINGER without waiting: closing sends a reset


@dataclass(frozen=True)
class Behaviour:
    """What a proxy does to what passes through; without anything it only passes it on."""

    latency: float = 0.0  # seconds that every piece is held back
    bandwidth: float | None = None  # bytes in a second, in each direction of each connection
    silent: bool = False  # connections are taken and stay open, and nothing goes through
    refusing: bool = False  # new connections are reset at once
    half_closed: bool = False  # answers are at their end, while requests still go through
    corrupt_after: int | None = None  # so many bytes of an answer are right, and all others wrong


@dataclass
class FaultProxy:
    """Stands before one target."""

    host: str
    target: int
    port: int = 0
    connections: int = 0  # that have ever come
    behaviour: Behaviour = field(default_factory=Behaviour)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def behave(self, behaviour: Behaviour) -> None:
        """Treat everything like this from now on, also on connections that are open."""
        self.behaviour = behaviour

    def cut(self) -> int:
        """Reset every connection; give how many there were."""
        return self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _cut(self) -> int:
        writers = list(self._writers)
        for writer in writers:
            _reset(writer)
        return len(writers) // 2

    async def _end(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await self._cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.behaviour.refusing:
            _reset(writer)
            return
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection(self.host, self.target)
            self._writers |= {writer, back}
            try:
                await asyncio.gather(
                    self._pass_on(reader, back, answers=False), self._pass_on(there, writer, answers=True)
                )
            finally:
                self._writers -= {writer, back}
                _reset(writer)
                _reset(back)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool) -> None:
        passed = 0
        while piece := await source.read(CHUNK):
            await self._hold_back(len(piece))
            if answers and self.behaviour.half_closed:
                break
            target.write(self._bent(piece, passed) if answers else piece)
            await target.drain()
            passed += len(piece)
        await self._speak()
        if target.can_write_eof():
            target.write_eof()

    async def _speak(self) -> None:
        while self.behaviour.silent:  # noqa: ASYNC110 - set by other threads, for which an asyncio.Event is not made
            await asyncio.sleep(LOOK_SECONDS)

    async def _hold_back(self, size: int) -> None:
        behaviour = self.behaviour
        wait = behaviour.latency + (size / behaviour.bandwidth if behaviour.bandwidth else 0.0)
        if wait:
            await asyncio.sleep(wait)
        await self._speak()

    def _bent(self, piece: bytes, passed: int) -> bytes:
        if self.behaviour.corrupt_after is None:
            return piece
        right = max(self.behaviour.corrupt_after - passed, 0)
        return piece[:right] + bytes(byte ^ 0x55 for byte in piece[right:])


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once, without a word: the other side reads a reset, as from a machine that has restarted."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
