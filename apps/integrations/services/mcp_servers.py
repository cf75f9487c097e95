"""Adding servers of the Model Context Protocol, listing what they offer, and approving that."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.common import json
from apps.common.asyncio_loop import run_coroutine
from apps.common.database import release_connection
from apps.common.errors import Conflict, ErrorItem, Fatal, Retryable
from apps.integrations.mcp_client.offers import Offer
from apps.integrations.mcp_client.source import endpoint_of
from apps.integrations.models import McpServer, McpTool
from apps.integrations.models.mcp import LONGEST_TOOL_NAME
from apps.integrations.services.remote_servers import check_address, check_key, check_name, invalid, kept, storable

REFRESH_SECONDS = 30.0
MOST_SERVERS = 50  # of an organization


@dataclass(frozen=True)
class Decision:
    """What a person says of one tool, having seen what `digest` stands for."""

    name: str
    allowed: bool
    digest: str
    effect: str


def add_server(*, organization: Organization, name: str, url: str, enabled: bool, by: str, key: str = "") -> McpServer:
    """Add a server; none of its tools may be called before somebody has approved it.

    `key` is sent to it as `Authorization: Bearer`, and kept in the vault.

    Raises Invalid for a name or an address that cannot be, Conflict for a name that is taken. Nothing is sent.
    """
    check_name(name)
    check_address(url, "url")
    check_key(key)
    if McpServer.objects.count() >= MOST_SERVERS:
        raise Conflict(f"There are {MOST_SERVERS} MCP servers already; delete one.", code="too_many_servers")
    try:
        with transaction.atomic():
            secret = kept(organization.pk, key)
            return McpServer.objects.create(
                organization=organization, name=name, url=url, enabled=enabled, created_by=by, secret=secret
            )
    except IntegrityError:
        raise Conflict(f"There is an MCP server '{name}' already.", code="name_taken") from None


@transaction.atomic
def change_server(
    server: McpServer, *, url: str | None = None, enabled: bool | None = None, key: str | None = None
) -> McpServer:
    """Switch a server on or off, give it another key (none with an empty one), or move it.

    What was approved at one address is not approved at another, and its key is not sent there.
    """
    if enabled is not None:
        server.enabled = enabled
    if url is not None and url != server.url:
        check_address(url, "url")
        server.url = url
        McpTool.objects.filter(server=server).delete()
        server.refreshed_at, server.problem = None, ""
        _forget_key(server)
    if key is not None:
        check_key(key)
        _forget_key(server)
        server.secret = kept(server.organization_id, key)
    server.save(update_fields=["url", "enabled", "secret", "refreshed_at", "problem"])
    return server


@transaction.atomic
def delete_server(server: McpServer) -> None:
    """Delete a server with its tools and its key; nodes that call them fail from now on."""
    server.delete()
    if server.secret:
        server.secret.delete()


def refresh_server(server: McpServer) -> McpServer:
    """List the server's tools and note what is new, changed or gone; approves nothing.

    A server that does not answer as it should is no exception: `problem` says what is wrong.
    """
    from apps.integrations.mcp_client.conversation import list_tools  # noqa: PLC0415 - the SDK is slow to import

    try:
        endpoint = endpoint_of(server)
        release_connection()
        offers = run_coroutine(list_tools(endpoint), REFRESH_SECONDS)
    except (Fatal, Retryable) as failure:
        return _noted(server, failure.message)
    except TimeoutError:
        return _noted(server, f"The MCP server gave no answer within {REFRESH_SECONDS:g} s.")
    return _taken_in(server, offers)


def decide_tools(server: McpServer, decisions: Sequence[Decision], *, by: str) -> None:
    """Allow or forbid tools, each as the person has seen it; all of them or none.

    Raises Invalid for a tool that the server does not offer or that cannot be used, Conflict `tool_changed` for one
    that has changed since it was seen.
    """
    with transaction.atomic():
        known = {tool.name: tool for tool in McpTool.objects.select_for_update().filter(server=server)}
        for place, decision in enumerate(decisions):
            tool = known.get(decision.name)
            if tool is None:
                message = f"The server offers no tool '{decision.name[:100]}'; refresh it to see what it offers."
                raise invalid(f"/tools/{place}/name", "unknown_tool", message)
            _decide(tool, decision, f"/tools/{place}", by)


def changes_of(tool: McpTool) -> list[tuple[str, str]]:
    """Give the lines in which a tool differs from what was approved: `added`, `removed` or `same`, and the text."""
    if tool.approved is None or tool.state != "changed":
        return []
    lines = difflib.ndiff(_lines(tool.approved), _lines(tool.offered))
    kinds = {"+ ": "added", "- ": "removed", "  ": "same"}
    return [(kinds[line[:2]], line) for line in lines if line[:2] in kinds]


def _decide(tool: McpTool, decision: Decision, at: str, by: str) -> None:
    if not decision.allowed:
        tool.approved, tool.approved_digest, tool.approved_by, tool.approved_at = None, "", "", None
    else:
        if tool.problem or tool.gone:
            raise invalid(f"{at}/name", "unusable_tool", tool.problem or "The server does not offer it any more.")
        if decision.digest != tool.digest:
            message = f"'{tool.name}' has changed since you looked at it; look again."
            raise Conflict(message, code="tool_changed", errors=[ErrorItem(f"{at}/digest", "tool_changed", message)])
        tool.approved, tool.approved_digest, tool.approved_by = tool.offered, tool.digest, by
        tool.approved_at = Now()
        tool.effect = decision.effect
    tool.save(update_fields=["approved", "approved_digest", "approved_by", "approved_at", "effect"])


@transaction.atomic
def _taken_in(server: McpServer, offers: list[Offer]) -> McpServer:
    known = {tool.name: tool for tool in McpTool.objects.select_for_update().filter(server=server)}
    offered = {storable(offer.name[:LONGEST_TOOL_NAME]): offer for offer in offers}
    for name, offer in offered.items():
        tool = known.get(name) or McpTool(organization_id=server.organization_id, server=server, name=name)
        tool.problem, tool.digest, tool.gone = storable(offer.problem), offer.digest, False
        tool.offered = {} if offer.problem else offer.pinned
        tool.save()
    for name, tool in known.items():
        if name not in offered and not tool.approved_digest:
            tool.delete()
        elif name not in offered:
            tool.gone = True
            tool.save(update_fields=["gone"])
    return _noted(server, "")


def _noted(server: McpServer, problem: str) -> McpServer:
    server.problem = storable(problem)
    McpServer.objects.filter(pk=server.pk).update(problem=server.problem, refreshed_at=Now())
    server.refresh_from_db(fields=["refreshed_at"])
    return server


def _forget_key(server: McpServer) -> None:
    if server.secret:
        forgotten, server.secret = server.secret, None
        server.save(update_fields=["secret"])
        forgotten.delete()


def _lines(pinned: dict[str, Any]) -> list[str]:
    described = str(pinned.get("description", "")).splitlines()
    schemas = {name: pinned.get(name) for name in ("input_schema", "output_schema") if pinned.get(name)}
    return [*described, *json.dumps(schemas, indent=True).decode().splitlines()]
