"""Approved tools of an organization's MCP servers, as tools like any other."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from django_scopes import scope

from apps.common import json
from apps.common.database import release_connection
from apps.common.errors import ErrorItem, Fatal
from apps.common.json import JSON, pointer_to
from apps.common.json_schema import Checker
from apps.common.validation import InvalidInput
from apps.integrations.mcp_client.offers import Endpoint, Offer
from apps.integrations.models import McpServer, McpTool
from apps.integrations.services.remote_servers import headers_of
from apps.integrations.tools import Effect, Tool, ToolContext

PREFIX = "mcp."
CALL_SECONDS = 60.0
MOST_TEXT = 2_000  # of what a server says about a failure

# What a tool gives that does not say what it gives.
ANY_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What it said, joined."},
        "content": {"type": "array", "description": "Whatever was no text."},
    },
    "required": ["text", "content"],
}


@dataclass(frozen=True, kw_only=True)
class McpToolbeltTool(Tool):
    """A tool whose schemas are those that a person has approved."""

    given_input_schema: dict[str, Any]
    given_output_schema: dict[str, Any]
    server: str

    @property
    def origin(self) -> str:
        """Say where the function is."""
        return f"MCP server '{self.server}'"

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """Give the JSON Schema of the object that a call takes."""
        return self.given_input_schema

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """Give the JSON Schema of the value that a call gives."""
        return self.given_output_schema

    def circuit_of(self, given: JSON) -> str:  # noqa: ARG002
        """Name what fails together: all tools of a server."""
        return f"{PREFIX}{self.server}"

    def arguments(self, given: JSON) -> dict[str, Any]:
        """Give the input as the one argument `arguments`, or raise InvalidInput with each place."""
        given = {} if given is None else given
        faults = _faults(self.input_schema, given) if isinstance(given, dict) else [ErrorItem("", "type", "No object")]
        if faults:
            what = "; ".join(f"'{fault.pointer}': {fault.message}" for fault in faults[:5])
            raise InvalidInput(f"The input of tool '{self.name}' is invalid: {what}.", errors=faults)
        return {"arguments": given}

    def repeat_of(self, arguments: Mapping[str, Any]) -> Any:  # noqa: ARG002
        """Give what may be done about a call that may have taken effect; nothing is known of a server but by people."""
        return "free" if self.effect == "read" else "ask"

    def result(self, value: Any) -> JSON:
        """Give what the server answered, or raise Fatal `invalid_output`."""
        if faults := _faults(self.output_schema, value):
            message = f"The result of tool '{self.name}' is invalid: '{faults[0].pointer}': {faults[0].message}."
            raise Fatal(message, code="invalid_output", in_doubt=True)
        return value


class McpSource:
    """Finds the approved tools of an organization's servers."""

    prefix = PREFIX

    def find(self, organization_id: UUID, name: str) -> Tool | None:
        """Give the tool; also one that cannot be called now, which then says why."""
        server, _, tool = name.removeprefix(PREFIX).partition(".")
        with scope(organization=organization_id):
            found = _approved().filter(organization_id=organization_id, server__name=server, name=tool).first()
        return as_tool(found) if found else None

    def all(self, organization_id: UUID) -> Iterable[Tool]:
        """Give the tools of the servers that are switched on, by name."""
        with scope(organization=organization_id):
            found = _approved().filter(organization_id=organization_id, server__enabled=True, gone=False)
            return sorted(map(as_tool, found), key=lambda tool: tool.name)


def as_tool(row: McpTool) -> Tool:
    """Give an approved row as a tool: what models and people read of it is what was approved."""
    effect: Effect = "read" if row.effect == McpTool.Effect.READ else "external_write"
    approved = row.approved or {}
    return McpToolbeltTool(
        name=row.full_name,
        description=approved["description"],
        effect=effect,
        timeout=CALL_SECONDS,
        function=_caller(row),
        given_input_schema=approved["input_schema"],
        given_output_schema=approved["output_schema"] or ANY_OUTPUT,
        server=row.server.name,
    )


def endpoint_of(server: McpServer) -> Endpoint:
    """Give where the server is and what it is sent."""
    return Endpoint(server.url, headers_of(server))


def _approved() -> Any:
    return McpTool.objects.exclude(approved_digest="").select_related("server__secret")


def _caller(row: McpTool) -> Callable[..., Any]:
    async def call(ctx: ToolContext, arguments: dict[str, JSON]) -> JSON:
        from apps.integrations.mcp_client.conversation import call_tool  # noqa: PLC0415 - the SDK is slow to import

        _refuse_unusable(row)
        endpoint = await asyncio.to_thread(_done_and_released, endpoint_of, row.server)
        given = {"digest": row.approved_digest, "key": ctx.idempotency_key, "seconds": CALL_SECONDS}
        answer = await call_tool(endpoint, row.name, arguments, **given)  # type: ignore[arg-type]
        if answer is None or isinstance(answer, Offer):
            await asyncio.to_thread(_done_and_released, _note_change, row, answer)
            raise _gone(row) if answer is None else _changed(row)
        if answer.is_error:
            said = answer.text[:MOST_TEXT] or "no reason given"
            raise Fatal(f"Tool '{row.full_name}' failed: {said}", code="tool_failed")
        return answer.output

    return call


def _refuse_unusable(row: McpTool) -> None:
    if not row.server.enabled:
        raise Fatal(f"The MCP server '{row.server.name}' is switched off.", code="server_disabled")
    if row.gone:
        raise _gone(row)
    if row.digest != row.approved_digest:
        raise _changed(row)


def _changed(row: McpTool) -> Fatal:
    what = f"The server has changed what '{row.full_name}' says of itself since it was approved"
    return Fatal(f"{what}; somebody has to look at it under 'MCP servers' and approve it again.", code="tool_changed")


def _gone(row: McpTool) -> Fatal:
    return Fatal(f"The MCP server '{row.server.name}' does not offer '{row.name}' any more.", code="tool_gone")


def _note_change(row: McpTool, offer: Offer | None) -> None:
    """Keep what was seen, so that the page shows the change."""
    with scope(organization=row.organization_id):
        same = McpTool.objects.filter(pk=row.pk)
        if offer is None:
            same.update(gone=True)
        else:
            same.update(offered=offer.pinned, digest=offer.digest, problem=offer.problem, gone=False)


def _done_and_released(work: Callable[..., Any], *args: Any) -> Any:
    try:
        return work(*args)
    finally:
        release_connection()  # the executor's threads live on; a connection kept there is lost to the pool


def _faults(schema: dict[str, Any], value: JSON) -> list[ErrorItem]:
    found = _checker(json.dumps(schema)).failures(value)
    return [ErrorItem(pointer_to(*path), "invalid", message) for path, message in found]


@lru_cache(maxsize=500)
def _checker(schema: bytes) -> Checker:
    return Checker(json.loads(schema))
