"""The addresses of agents."""

from django.urls import path

from apps.agents.api import definitions
from apps.agents.api.catalogue import AgentsView, AgentView, ExecuteAgentView
from apps.agents.views import catalogue

pages = [
    path("agents", catalogue.catalogue, name="agents"),
    path("agents/<str:name>", catalogue.agent, name="agent"),
]

urlpatterns = [
    path("v1/agents", AgentsView.as_view()),
    path("v1/agents/execute", ExecuteAgentView.as_view()),
    path("v1/agent-definitions", definitions.AgentDefinitionsView.as_view()),
    path("v1/agent-definitions/<str:name>", definitions.AgentDefinitionView.as_view()),
    path("v1/agent-definitions/<str:name>/versions", definitions.AgentVersionsView.as_view()),
    path("v1/agent-definitions/<str:name>/versions/<int:number>", definitions.AgentVersionView.as_view()),
    path("v1/agent-definitions/<str:name>/export", definitions.ExportAgentView.as_view()),
    path("v1/agent-definitions/<str:name>/chat", definitions.ChatView.as_view()),
    path("v1/agents/<str:name>", AgentView.as_view()),
    path("agents/execute", ExecuteAgentView.as_view(schema=None)),  # the older address
    *pages,
]
