"""Many open connections at little cost."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpcore

EACH = 10  # requests under way in a pool, until the next pool is used
POOLS = 20


@dataclass
class _Shared:
    """A pool, and how many requests are under way in it."""

    pool: httpcore.AsyncConnectionPool
    under_way: int = 0


class SpreadPool(httpcore.AsyncConnectionPool):
    """Connections in several small pools: httpcore looks through all of a pool's at the start and end of a request.

    The pools are filled one after the other, so that who asks one thing at a time keeps using one connection.
    """

    def __init__(self, new_pool: Callable[[], httpcore.AsyncConnectionPool]) -> None:
        # Its own __init__ is left out: the connections are those of the pools.
        self._pools = [_Shared(new_pool()) for _ in range(POOLS)]

    @property
    def connections(self) -> list[httpcore.AsyncConnectionInterface]:
        """Give those of all pools."""
        return [connection for shared in self._pools for connection in shared.pool.connections]

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request through the first pool that has room, or the one with the fewest where none has."""
        free = (shared for shared in self._pools if shared.under_way < EACH)
        shared = next(free, None) or min(self._pools, key=lambda one: one.under_way)
        shared.under_way += 1
        try:
            response = await shared.pool.handle_async_request(request)
        except BaseException:
            shared.under_way -= 1
            raise
        response.stream = _Counted(response.stream, shared)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for shared in self._pools:
            await shared.pool.aclose()


class _Counted:
    """A body that is under way until it is closed."""

    def __init__(self, body: Any, shared: _Shared) -> None:
        self._body, self._shared = body, shared
        self._is_open = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: AsyncIterator[bytes] = self._body.__aiter__()
        return pieces

    async def aclose(self) -> None:
        if self._is_open:
            self._is_open = False
            self._shared.under_way -= 1
        await self._body.aclose()
