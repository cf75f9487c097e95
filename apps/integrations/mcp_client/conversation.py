"""Talking to an MCP server over Streamable HTTP. Imports the SDK: only to be imported where a server is talked to."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, NoReturn, cast

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, CallToolResult, TextContent
from pydantic import ValidationError

from apps.common.errors import Fatal, Retryable
from apps.common.json import JSON
from apps.common.redaction import hide
from apps.integrations.egress.exchange import Exchange, client
from apps.integrations.mcp_client.offers import Endpoint, Offer, Result
from apps.integrations.services.remote_servers import key_in

REQUEST_SECONDS = 30.0
MOST_PAGES = 20
MOST_TOOLS = 500
KEY_FIELD = "orchestra.idempotencyKey"  # in `_meta`, for servers that know what to do with it

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_EXPECTED = (MCPError, httpx2.HTTPError, ValidationError, RuntimeError, OSError, Fatal)
_REFUSED = frozenset({INVALID_PARAMS, METHOD_NOT_FOUND})  # the server has looked at the call and done nothing
_MAY_BE_BETTER_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_LET_IN = frozenset({401, 403})


async def list_tools(endpoint: Endpoint) -> list[Offer]:
    """Give what the server offers; raises Fatal or Retryable with what is wrong with it."""
    conversation = Conversation(endpoint)
    async with conversation.open() as talk:
        return [offer async for offer in _offers(talk, conversation.key)]


async def call_tool(
    endpoint: Endpoint, name: str, arguments: dict[str, JSON], *, digest: str, key: str, seconds: float
) -> Result | Offer | None:
    """Call a tool if it still is what was approved, by its digest.

    Gives the Offer instead where it has changed, and None where the server has it no more: then nothing was called.
    Raises Fatal or Retryable, `in_doubt` where the call may have taken effect.
    """
    conversation = Conversation(endpoint, seconds)
    async with conversation.open() as talk:
        found = [offer async for offer in _offers(talk, conversation.key) if offer.name == name]
        if not found or found[0].digest != digest:
            return found[0] if found else None
        conversation.calling = True
        answer = await talk.call_tool(name, arguments, meta=cast("Any", {KEY_FIELD: key}))
        conversation.calling = False
        return _result(answer, conversation.key)


class Conversation:
    """One connection to a server, whose errors come out as ours."""

    def __init__(self, endpoint: Endpoint, seconds: float = REQUEST_SECONDS) -> None:
        self.endpoint, self.seconds, self.key = endpoint, seconds, key_in(endpoint.headers)
        self.exchange = Exchange()
        self.calling = False  # a call is under way, and what fails now may have taken effect

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Client]:
        """Give a client of the SDK that has agreed with the server on a version."""
        try:
            async with client(self.exchange, self.endpoint.headers, self.seconds) as http:
                transport = streamable_http_client(self.endpoint.url, http_client=http)
                async with Client(transport, read_timeout_seconds=self.seconds, cache=None) as talk:
                    # The SDK checks results with patterns that backtrack, on the loop that everybody shares; ours are
                    # checked where they are taken in.
                    setattr(talk.session, "validate_tool_result", _unchecked)  # noqa: B010 - mypy knows it as a method
                    yield talk
        except (*_EXPECTED, ExceptionGroup) as error:
            found = _innermost(error)
            if not isinstance(found, _EXPECTED):
                raise
            self._fail(found)

    def _fail(self, error: Exception) -> NoReturn:
        cause = self.exchange.failure or error
        words = hide(self.key, str(cause)) or type(cause).__name__
        if isinstance(cause, Fatal):
            raise Fatal(words, code=cause.code, in_doubt=self._in_doubt(cause)) from None
        status = self.exchange.status
        if isinstance(cause, httpx2.HTTPError):
            message = f"The MCP server does not answer: {words}."
            if "CERTIFICATE_VERIFY_FAILED" in message:
                raise Fatal(message, code="certificate_invalid") from None
            raise Retryable(message, code="connection_failed", in_doubt=self._in_doubt(cause)) from None
        if status in _NOT_LET_IN:
            raise Fatal(f"The MCP server refuses us: status {status}.", code="unauthorized") from None
        if status in _MAY_BE_BETTER_LATER:
            message = f"The MCP server answers with status {status}."
            raise Retryable(message, code="mcp_error", in_doubt=self.calling) from None
        refused = isinstance(cause, MCPError) and cause.code in _REFUSED
        raise Fatal(f"The MCP server: {words[:500]}", code="mcp_error", in_doubt=self.calling and not refused) from None

    def _in_doubt(self, cause: Exception) -> bool:
        refused = isinstance(cause, Fatal) and cause.code in {"egress_refused", "unknown_host"}
        return self.calling and not refused and not isinstance(cause, _NEVER_SENT)


async def _offers(talk: Client, key: str) -> AsyncIterator[Offer]:
    cursor, seen = None, 0
    for _ in range(MOST_PAGES):
        page = await talk.list_tools(cursor=cursor)
        for tool in page.tools:
            told = (tool.name, tool.description or "", dict(tool.input_schema), tool.output_schema)
            yield Offer(*(hide(key, part) for part in told))
        seen += len(page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return
        if seen > MOST_TOOLS:
            break
    raise Fatal(f"The MCP server lists more than {MOST_TOOLS} tools, or pages without end.", code="too_many_tools")


def _result(answer: CallToolResult, key: str) -> Result:
    """What the server has answered, without the key that it was sent: a model reads this, and people do."""
    text = hide(key, "\n".join(part.text for part in answer.content if isinstance(part, TextContent)))
    if answer.structured_content is not None:
        return Result(hide(key, answer.structured_content), answer.is_error, text)
    others = [
        part.model_dump(mode="json", by_alias=True, exclude_none=True)
        for part in answer.content
        if not isinstance(part, TextContent)
    ]
    return Result({"text": text, "content": hide(key, others)}, answer.is_error, text)


async def _unchecked(_name: str, _result: Any) -> None:
    pass


def _innermost(error: Exception) -> Exception:
    """The first error in the groups that the SDK's tasks end with."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
