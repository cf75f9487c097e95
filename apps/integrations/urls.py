"""The addresses of tools, MCP servers, A2A agents, models and the outbox."""

from django.urls import path

from apps.integrations.api import a2a, mcp, tools
from apps.integrations.api import model_providers as provider_api
from apps.integrations.api import models as model_api
from apps.integrations.views import a2a_agents, catalogue, first_models, mcp_servers, model_providers, models

pages = [
    path("tools", catalogue.catalogue, name="tools"),
    path("tools/<str:name>", catalogue.tool, name="tool"),
    path("settings/models", models.models, name="settings_models"),
    path("settings/first-model", first_models.begin, name="begin_with_model"),
    path("settings/new-model", models.new_model, name="new_model"),
    path("settings/models/<path:name>/test", models.test_model, name="test_model"),
    path("settings/models/<str:name>/default", models.make_default, name="make_default_model"),
    path("settings/models/<str:name>/remove", models.remove_model, name="remove_model"),
    path("settings/models/<str:name>", models.edit_model, name="edit_model"),
    path("settings/model-providers/<str:name>/default", first_models.choose, name="first_model"),
    path("settings/model-providers/<str:name>/remove", model_providers.remove_provider, name="remove_provider"),
    path("settings/model-providers/<str:name>", model_providers.provider, name="model_provider"),
    path("mcp-servers", mcp_servers.servers, name="settings_mcp"),
    path("mcp-servers/<str:ref>", mcp_servers.server, name="mcp_server"),
    path("mcp-servers/<str:ref>/refresh", mcp_servers.refresh, name="refresh_mcp_server"),
    path("mcp-servers/<str:ref>/tools", mcp_servers.tools, name="decide_mcp_tools"),
    path("mcp-servers/<str:ref>/switch", mcp_servers.switch, name="switch_mcp_server"),
    path("mcp-servers/<str:ref>/delete", mcp_servers.delete, name="delete_mcp_server"),
    path("a2a-agents", a2a_agents.agents, name="settings_a2a"),
    path("a2a-agents/<str:ref>", a2a_agents.agent, name="a2a_agent"),
    path("a2a-agents/<str:ref>/refresh", a2a_agents.refresh, name="refresh_a2a_agent"),
    path("a2a-agents/<str:ref>/accept", a2a_agents.accept, name="accept_a2a_card"),
    path("a2a-agents/<str:ref>/switch", a2a_agents.switch, name="switch_a2a_agent"),
    path("a2a-agents/<str:ref>/delete", a2a_agents.delete, name="delete_a2a_agent"),
]

urlpatterns = [
    *pages,
    path("v1/tools", tools.ToolsView.as_view()),
    path("v1/tools/<str:name>", tools.ToolView.as_view()),
    path("v1/tools/<str:name>/invoke", tools.InvokeToolView.as_view()),
    path("v1/mcp/servers", mcp.McpServersView.as_view()),
    path("v1/mcp/servers/<str:ref>", mcp.OneMcpServerView.as_view()),
    path("v1/mcp/servers/<str:ref>/refresh", mcp.RefreshMcpServerView.as_view()),
    path("v1/mcp/servers/<str:ref>/tools", mcp.McpToolsView.as_view()),
    path("v1/a2a/agents", a2a.A2aAgentsView.as_view()),
    path("v1/a2a/agents/<str:ref>", a2a.OneA2aAgentView.as_view()),
    path("v1/a2a/agents/<str:ref>/refresh", a2a.RefreshA2aAgentView.as_view()),
    path("v1/a2a/agents/<str:ref>/accept", a2a.AcceptA2aCardView.as_view()),
    path("v1/model-providers", provider_api.ProvidersView.as_view()),
    path("v1/model-providers/<str:ref>", provider_api.OneProviderView.as_view()),
    path("v1/models", model_api.ModelsView.as_view()),
    path("v1/models/<path:name>/test", model_api.TestModelView.as_view()),
    path("v1/models/<path:name>", model_api.OneModelView.as_view()),
    path("v1/outbox", tools.OutboxView.as_view()),
    path("v1/outbox/<str:ref>", tools.OutboxMessageView.as_view()),
]
