"""A client for libraries that speak a protocol of their own: the egress rules, and bodies of a bounded size."""

from collections.abc import AsyncIterator
from typing import Any

import httpx

from apps.common.errors import Fatal
from apps.integrations.egress.fetching import MOST_BYTES
from apps.integrations.egress.transport import CONNECT_SECONDS, checked_transport


def bounded_client(headers: dict[str, str], seconds: float) -> httpx.AsyncClient:
    """Give a client that reads no environment, follows no redirect, and reads at most 5 MiB of an answer."""
    return httpx.AsyncClient(
        transport=_BoundedTransport(),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        # Not compressed: then the bytes on the wire are those that are counted.
        headers={"User-Agent": "Orchestra/1", "Accept-Encoding": "identity", **headers},
    )


async def bounded_chunks(chunks: Any, coding: str) -> AsyncIterator[bytes]:
    """Give the chunks of a body, or raise Fatal where it is compressed or too large."""
    if coding not in {"", "identity"}:
        raise Fatal(f"The body is compressed as '{coding[:40]}', which was not asked for.", code="invalid_response")
    length = 0
    async for chunk in chunks:
        length += len(chunk)
        if length > MOST_BYTES:
            raise Fatal(f"The answer is larger than {MOST_BYTES} bytes.", code="response_too_large")
        yield chunk


class _BoundedTransport(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await checked_transport().handle_async_request(request)
        answer.stream = _Bounded(answer)
        return answer


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, answer: httpx.Response) -> None:
        self._stream: Any = answer.stream
        self._coding = answer.headers.get("content-encoding", "identity").strip().lower()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in bounded_chunks(self._stream, self._coding):
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
