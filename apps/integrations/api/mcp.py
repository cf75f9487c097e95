"""MCP servers: adding them, listing what they offer, and approving that."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import run_once
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING
from apps.common.serializers import checked
from apps.integrations import selectors
from apps.integrations.models import McpServer
from apps.integrations.serializers.mcp import (
    McpDecisionsSerializer,
    McpServerChangeSerializer,
    McpServerSerializer,
    McpToolsSerializer,
    NewMcpServerSerializer,
    mcp_server_json,
    mcp_tool_json,
)
from apps.integrations.services import mcp_servers
from apps.integrations.services.mcp_servers import Decision

SORTS = {"created_at": ("created_at", "id"), "name": ("name", "id")}


class McpServersView(OrganizationView):
    """The organization's MCP servers."""

    capabilities = {"GET": "view", "POST": "manage"}
    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(McpServerSerializer)}, operation_id="list_mcp_servers")
    def get(self, request: Request) -> Response:
        """List the servers, the newest first."""
        return paginate(selectors.mcp_servers(), request, sorts=SORTS, serialize=mcp_server_json)

    @extend_schema(request=NewMcpServerSerializer, responses={201: McpServerSerializer}, operation_id="add_mcp_server")
    def post(self, request: Request) -> Response:
        """Add a server. Nothing is sent to it yet: refresh it, then approve tools."""
        wanted = checked(NewMcpServerSerializer, request)
        return run_once(request, lambda: (201, mcp_server_json(self._add(wanted))))

    def _add(self, wanted: dict[str, Any]) -> McpServer:
        return mcp_servers.add_server(organization=self.access.organization, by=self.access.actor, **wanted)


class OneMcpServerView(OrganizationView):
    """One server, by name or id."""

    capabilities = {"GET": "view", "PATCH": "manage", "DELETE": "manage"}

    @extend_schema(responses={200: McpServerSerializer}, operation_id="get_mcp_server")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a server."""
        return Response(mcp_server_json(selectors.find_mcp_server(ref)))

    @extend_schema(
        request=McpServerChangeSerializer, responses={200: McpServerSerializer}, operation_id="change_mcp_server"
    )
    def patch(self, request: Request, ref: str) -> Response:
        """Switch a server on or off, or move it to another address, which forgets its tools and all approvals."""
        changes = checked(McpServerChangeSerializer, request)
        return Response(mcp_server_json(mcp_servers.change_server(selectors.find_mcp_server(ref), **changes)))

    @extend_schema(responses={204: None}, operation_id="delete_mcp_server")
    def delete(self, _request: Request, ref: str) -> Response:
        """Delete a server; nodes that call its tools fail from now on."""
        mcp_servers.delete_server(selectors.find_mcp_server(ref))
        return Response(status=204)


class RefreshMcpServerView(OrganizationView):
    """Asking a server what it offers."""

    capabilities = {"POST": "manage"}
    throttle_group = "run"

    @extend_schema(request=None, responses={200: McpServerSerializer}, operation_id="refresh_mcp_server")
    def post(self, _request: Request, ref: str) -> Response:
        """List the server's tools anew; what is wrong with its answer is told in `problem`. Approves nothing."""
        return Response(mcp_server_json(mcp_servers.refresh_server(selectors.find_mcp_server(ref))))


class McpToolsView(OrganizationView):
    """What a server offers."""

    capabilities = {"GET": "view", "POST": "manage"}

    @extend_schema(responses={200: McpToolsSerializer}, operation_id="list_mcp_tools")
    def get(self, _request: Request, ref: str) -> Response:
        """List the tools as they were when the server was last refreshed, and what has changed since approval."""
        return Response(_tools(selectors.find_mcp_server(ref)))

    @extend_schema(request=McpDecisionsSerializer, responses={200: McpToolsSerializer}, operation_id="decide_mcp_tools")
    def post(self, request: Request, ref: str) -> Response:
        """Allow or forbid tools: all of those that are named, or none where one has changed since you looked."""
        server = selectors.find_mcp_server(ref)
        asked = checked(McpDecisionsSerializer, request)["tools"]
        mcp_servers.decide_tools(server, [Decision(**one) for one in asked], by=self.access.actor)
        return Response(_tools(server))


def _tools(server: McpServer) -> dict[str, Any]:
    return {"items": [mcp_tool_json(tool) for tool in selectors.mcp_tools(server)], "next_cursor": None}
