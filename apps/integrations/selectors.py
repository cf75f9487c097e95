"""Reading the outbox, language models, MCP servers and A2A agents, in the organization in scope."""

from django.db.models import QuerySet

from apps.common.errors import NotFound
from apps.common.registry import nearest
from apps.common.selectors import find_by_id
from apps.integrations.models import A2aAgent, McpServer, McpTool, ModelProvider, ModelSetting, OutboxMessage


def outbox_messages(run_id: str | None = None) -> QuerySet[OutboxMessage]:
    """Give the messages of the outbox, or those of one run."""
    messages = OutboxMessage.objects.all()
    return messages.filter(run_id=run_id) if run_id else messages


def providers() -> QuerySet[ModelProvider]:
    """Give who serves models, with their keys and what is set up of them."""
    return ModelProvider.objects.select_related("key").prefetch_related("settings")


def find_provider(ref: str) -> ModelProvider:
    """Give the provider of this name or id; raises NotFound."""
    if (named := providers().filter(name=ref).first()) is not None:
        return named
    try:
        return find_by_id(providers(), ref)
    except NotFound:
        known = nearest(ref, ModelProvider.objects.values_list("name", flat=True))
        raise NotFound(f"There is no provider '{ref[:80]}'.{known}", code="provider_not_found") from None


def models() -> QuerySet[ModelSetting]:
    """Give the models that are set up, with their providers."""
    return ModelSetting.objects.select_related("provider")


def find_model(name: str) -> ModelSetting:
    """Give what is set up under this name; raises NotFound, also for a model that code brings."""
    found = models().filter(name=name).first()
    if found is None:
        known = nearest(name, ModelSetting.objects.values_list("name", flat=True))
        raise NotFound(f"There is no model '{name[:80]}' set up.{known}", code="model_not_found")
    return found


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
