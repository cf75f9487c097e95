"""Reading the outbox, MCP servers and A2A agents, in the organization in scope."""

from django.db.models import QuerySet

from apps.common.selectors import find_by_id
from apps.integrations.models import A2aAgent, McpServer, McpTool, OutboxMessage


def outbox_messages(run_id: str | None = None) -> QuerySet[OutboxMessage]:
    """Give the messages of the outbox, or those of one run."""
    messages = OutboxMessage.objects.all()
    return messages.filter(run_id=run_id) if run_id else messages


def mcp_servers() -> QuerySet[McpServer]:
    """Give the organization's MCP servers."""
    return McpServer.objects.select_related("secret")


def find_mcp_server(ref: str) -> McpServer:
    """Give the MCP server with this name or id; raises NotFound."""
    return mcp_servers().filter(name=ref).first() or find_by_id(mcp_servers(), ref)


def mcp_tools(server: McpServer) -> QuerySet[McpTool]:
    """Give what a server has listed, by name."""
    return McpTool.objects.filter(server=server).select_related("server").order_by("name")


def a2a_agents() -> QuerySet[A2aAgent]:
    """Give the organization's A2A agents."""
    return A2aAgent.objects.select_related("secret")


def find_a2a_agent(ref: str) -> A2aAgent:
    """Give the A2A agent with this name or id; raises NotFound."""
    return a2a_agents().filter(name=ref).first() or find_by_id(a2a_agents(), ref)
