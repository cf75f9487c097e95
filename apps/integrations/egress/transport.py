"""httpx with the rules built in: every request is checked, every connection goes to a checked address."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import httpcore
import httpx

from apps.common.errors import Fatal
from apps.integrations.egress.connections import EACH, SpreadPool
from apps.integrations.egress.rules import check_url, checked_addresses

CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 30.0
IDLE_CONNECTION_SECONDS = 5.0


def client() -> httpx.AsyncClient:
    """Give a client that obeys the egress rules; it has cookies of its own, and connections shared on this loop.

    It follows no redirects and reads no environment; `fetch` adds redirects, the time limit and the size limit.
    There is nothing to close: the connections stay open for the next request.
    """
    return httpx.AsyncClient(
        transport=checked_transport(),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
        headers={"User-Agent": "Orchestra/1", "Accept-Encoding": "gzip"},
    )


class CheckedTransport(httpx.AsyncHTTPTransport):
    """Checks the URL of every request, and connects through CheckedBackend."""

    def __init__(self) -> None:
        # httpx has no public way to name the network backend. Its own __init__ is left out on purpose: should the
        # attribute be renamed one day, requests fail instead of going out unchecked.
        self._pool = SpreadPool(_few_connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        check_url(request.url)
        return await super().handle_async_request(request)


def _few_connections() -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=_ssl_context(),
        max_connections=50,
        max_keepalive_connections=EACH,
        keepalive_expiry=IDLE_CONNECTION_SECONDS,
        network_backend=CheckedBackend(),
    )


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name once, checks all its addresses, and connects to one of these.

    Host, SNI and certificate checks keep the name, because only the socket is opened by address.
    """

    def __init__(self) -> None:
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        opening = connect_checked(httpcore, self._sockets, host, port, local_address, socket_options)
        try:
            async with asyncio.timeout(timeout):
                stream: httpcore.AsyncNetworkStream = await opening
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection to {host}:{port} within {timeout:g} s") from None
        return stream

    async def connect_unix_socket(self, *_args: Any, **_options: Any) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("Requests go over the network only.")

    async def sleep(self, seconds: float) -> None:
        await self._sockets.sleep(seconds)


async def connect_checked(core: Any, sockets: Any, host: str, port: int, *options: Any) -> Any:
    """Resolve once, check every address, and open a stream to one of these.

    `core` is httpcore or its successor, whose errors are raised; `sockets` its backend.
    """
    try:
        addresses = await checked_addresses(host, port)
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            raise Fatal(f"There is no host named {host}.", code="unknown_host") from None
        raise core.ConnectError(f"the name {host} cannot be resolved now ({error.strerror})") from None
    failure: Exception = core.ConnectError(f"{host} has no address")
    for address in addresses:
        try:
            return await sockets.connect_tcp(address, port, None, *options)
        except core.ConnectError as error:
            failure = error
    raise failure


_transports: WeakKeyDictionary[asyncio.AbstractEventLoop, CheckedTransport] = WeakKeyDictionary()


def checked_transport() -> CheckedTransport:
    """Give what carries the requests of this loop, for libraries that bring their own httpx client."""
    # Connections belong to the loop that opened them.
    loop = asyncio.get_running_loop()
    if loop not in _transports:
        _transports[loop] = CheckedTransport()
    return _transports[loop]


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()
