"""One request from start to end: redirects by hand, bounded in time and size, errors that say if retrying helps."""

import asyncio
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from apps.common.errors import Fatal, Retryable
from apps.integrations.egress.transport import TOTAL_SECONDS, client

MOST_REDIRECTS = 3
MOST_BYTES = 5 * 1024 * 1024

# All that a different host gets to see after a redirect; a list of what to drop would miss X-Api-Key and its kin.
HARMLESS_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-type", "idempotency-key", "user-agent"}
)

# The request did not go out: there was no connection to send it on.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True)
class Response:
    """What came back, read to the end and decompressed."""

    url: str  # after redirects
    status: int
    headers: Mapping[str, str]  # names in lower case; several of one name are joined by ", "
    body: bytes
    encoding: str  # of the text in the body
    duration_ms: float

    @property
    def text(self) -> str:
        return self.body.decode(self.encoding, errors="replace")


async def fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    timeout: float = TOTAL_SECONDS,  # noqa: ASYNC109 - an end for redirects and body together
    max_bytes: int = MOST_BYTES,
) -> Response:
    """Send a request under the egress rules and give the Response, whatever its status.

    Raises EgressRefused for a forbidden destination (also one behind a redirect), Fatal for an address that cannot
    be read, too many redirects, a certificate that is not valid or a body over `max_bytes`; Retryable when the other
    side does not answer in `timeout` seconds or the connection breaks. Each is `in_doubt` once the request is out.
    """
    started = time.perf_counter()
    answers: list[httpx.Response] = []  # an answer that redirects is one, too: the request has been received
    try:
        async with asyncio.timeout(timeout):
            session = client()
            answer = await _follow(session, _request(session, method, url, headers, content), answers)
            try:
                body = await _body(answer, max_bytes)
            finally:
                await answer.aclose()
    except (TimeoutError, httpx.TimeoutException) as error:
        reason = str(error) or f"no answer within {timeout:g} s"
        message = f"{_named(method, url)}: {reason}."
        raise Retryable(message, code="timeout", in_doubt=bool(answers) or may_be_out(error)) from None
    except httpx.TransportError as error:
        failure = _transport_failure(_named(method, url), error)
        failure.in_doubt |= bool(answers)
        raise failure from None
    except Fatal as refusal:
        refusal.in_doubt |= bool(answers)
        raise
    return Response(
        url=str(answer.url),
        status=answer.status_code,
        headers=dict(answer.headers),
        body=body,
        encoding=answer.encoding or "utf-8",
        duration_ms=round((time.perf_counter() - started) * 1000, 1),
    )


def _request(
    session: httpx.AsyncClient, method: str, url: str, headers: Mapping[str, str] | None, content: bytes | None
) -> httpx.Request:
    try:
        return session.build_request(method, url, headers=dict(headers or {}), content=content)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise Fatal(f"The request cannot be sent: {error}.", code="invalid_input") from None


async def _follow(session: httpx.AsyncClient, request: httpx.Request, answers: list[httpx.Response]) -> httpx.Response:
    for _ in range(MOST_REDIRECTS + 1):
        response = await session.send(request, stream=True)
        answers.append(response)
        if response.next_request is None:
            return response
        await response.aclose()
        request = _without_secrets(request, response.next_request)
    message = f"More than {MOST_REDIRECTS} redirects, the last one to {request.url.host}."
    raise Fatal(message, code="too_many_redirects")


def _without_secrets(before: httpx.Request, after: httpx.Request) -> httpx.Request:
    if _origin(before.url) != _origin(after.url):
        for name in set(after.headers) - HARMLESS_HEADERS - {"host", "content-length", "transfer-encoding"}:
            del after.headers[name]
    return after


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _body(response: httpx.Response, max_bytes: int) -> bytes:
    """Read the body, counting the bytes after decompression: 5 MiB may come as 5 KiB on the wire."""
    decompress = _decompressor(response)
    body = bytearray()
    async for chunk in response.aiter_raw():
        try:
            body += decompress.decompress(chunk, max_bytes + 1 - len(body)) if decompress else chunk
        except zlib.error:
            raise Fatal("The compressed body is broken.", code="invalid_response") from None
        if len(body) > max_bytes:
            raise Fatal(f"The body is larger than {max_bytes} bytes.", code="response_too_large")
    return bytes(body)


def _decompressor(response: httpx.Response) -> "zlib._Decompress | None":
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in {"", "identity"}:
        return None
    if coding in {"gzip", "x-gzip", "deflate"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, told by the header
    message = f"The body is compressed as '{coding[:40]}', which was not asked for."
    raise Fatal(message, code="invalid_response")


def _transport_failure(named: str, error: httpx.TransportError) -> Retryable | Fatal:
    message = f"{named}: {str(error) or type(error).__name__}."
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return Fatal(message, code="certificate_invalid")
    return Retryable(message, code="connection_failed", in_doubt=may_be_out(error))


def may_be_out(error: Exception) -> bool:
    """Tell whether the other side may have got the request that ended so."""
    return not isinstance(error, _NEVER_SENT)


def _named(method: str, url: str) -> str:
    # Without the query: it may hold a token.
    return f"{method.upper()} {url.split('?', maxsplit=1)[0][:200]}"
