"""Rows of MCP servers, for pages that only show them."""

from django_scopes import scope

from apps.accounts.models import Organization
from apps.integrations.mcp_client.offers import Offer
from apps.integrations.models import McpServer, McpTool

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "Where."}}, "required": ["city"]}


def listed_server(organization: Organization, name: str = "weather") -> McpServer:
    """A server with a tool in each state, without anybody at its address."""
    with scope(organization=organization):
        server = McpServer.objects.create(
            organization=organization, name=name, url="https://example.com/mcp", problem="It broke off."
        )
        for state in ("new", "allowed", "changed", "gone", "unusable"):
            before = Offer(state, "Tells the weather.", SCHEMA, None)
            more = " And more." if state == "changed" else ""
            now = Offer(state, before.description + more, SCHEMA, None)
            approved = state in {"allowed", "changed", "gone"}
            McpTool.objects.create(
                organization=organization,
                server=server,
                name=state,
                offered=now.pinned,
                digest=now.digest,
                approved=before.pinned if approved else None,
                approved_digest=before.digest if approved else "",
                approved_by="user:alice" if approved else "",
                gone=state == "gone",
                problem="Its schema is none." if state == "unusable" else "",
            )
    return server
