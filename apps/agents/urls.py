"""The addresses of agents."""

from django.urls import path

from apps.agents.api import AgentsView, AgentView, ExecuteAgentView
from apps.agents.views import catalogue

pages = [
    path("agents", catalogue.catalogue, name="agents"),
    path("agents/<str:name>", catalogue.agent, name="agent"),
]

urlpatterns = [
    path("v1/agents", AgentsView.as_view()),
    path("v1/agents/execute", ExecuteAgentView.as_view()),
    path("v1/agents/<str:name>", AgentView.as_view()),
    path("agents/execute", ExecuteAgentView.as_view(schema=None)),  # the older address
    *pages,
]
