"""The same rules for httpx2, which the SDK of the Model Context Protocol sends with; slow to import."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import httpcore2
import httpx2

from apps.integrations.egress.bounded import bounded_chunks
from apps.integrations.egress.fetching import MOST_REDIRECTS
from apps.integrations.egress.rules import check_url
from apps.integrations.egress.transport import CONNECT_SECONDS, IDLE_CONNECTION_SECONDS, connect_checked


class Exchange(httpx2.AsyncBaseTransport):
    """What one conversation with a server is sent through.

    The SDK sends in tasks of its own, and what goes wrong there reaches its caller as something vague, so it is kept
    here: `failure` is the last one, `status` that of the last answer.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.status: int | None = None
        self.retry_after: str | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to a checked address, and bound what comes back."""
        try:
            check_url(request.url)
            answer = await _transport().handle_async_request(request)
        except Exception as error:
            self.failure = error
            raise
        self.status, self.retry_after = answer.status_code, answer.headers.get("retry-after")
        answer.stream = _Bounded(answer, self)
        return answer


def client(exchange: Exchange, headers: dict[str, str], seconds: float) -> httpx2.AsyncClient:
    """Give a client that obeys the egress rules; it reads no environment."""
    return httpx2.AsyncClient(
        transport=exchange,
        trust_env=False,
        max_redirects=MOST_REDIRECTS,
        timeout=httpx2.Timeout(seconds, connect=CONNECT_SECONDS),
        # Not compressed: then the bytes on the wire are those that are counted.
        headers={"User-Agent": "Orchestra/1", "Accept-Encoding": "identity", **headers},
    )


class _Bounded(httpx2.AsyncByteStream):
    """An answer's body, which ends with an error when it grows too large."""

    def __init__(self, answer: httpx2.Response, exchange: Exchange) -> None:
        self._stream: Any = answer.stream
        self._coding = answer.headers.get("content-encoding", "identity").strip().lower()
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in bounded_chunks(self._stream, self._coding):
                yield chunk
        except Exception as error:
            self._exchange.failure = error
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()


class _CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to checked addresses, as `transport.CheckedBackend` does for httpx."""

    def __init__(self) -> None:
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        opening = connect_checked(httpcore2, self._sockets, host, port, local_address, socket_options)
        try:
            async with asyncio.timeout(timeout):
                stream: httpcore2.AsyncNetworkStream = await opening
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"no connection to {host}:{port} within {timeout:g} s") from None
        return stream

    async def connect_unix_socket(self, *_args: Any, **_options: Any) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.UnsupportedProtocol("Requests go over the network only.")

    async def sleep(self, seconds: float) -> None:
        await self._sockets.sleep(seconds)


class _CheckedTransport(httpx2.AsyncHTTPTransport):
    """Connections that are opened by `_CheckedBackend`; its own __init__ is left out, see `transport`."""

    def __init__(self) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=200,
            max_keepalive_connections=50,
            keepalive_expiry=IDLE_CONNECTION_SECONDS,
            network_backend=_CheckedBackend(),
        )


_transports: WeakKeyDictionary[asyncio.AbstractEventLoop, _CheckedTransport] = WeakKeyDictionary()


def _transport() -> _CheckedTransport:
    # Connections belong to the loop that opened them.
    loop = asyncio.get_running_loop()
    if loop not in _transports:
        _transports[loop] = _CheckedTransport()
    return _transports[loop]


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)
