from django.urls import path

from apps.agents.api import AgentsView, AgentView, ExecuteAgentView

urlpatterns = [
    path("v1/agents", AgentsView.as_view()),
    path("v1/agents/execute", ExecuteAgentView.as_view()),
    path("v1/agents/<str:name>", AgentView.as_view()),
    path("agents/execute", ExecuteAgentView.as_view(schema=None)),  # the older address
]
