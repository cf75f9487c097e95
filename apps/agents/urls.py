"""The addresses of agents."""

from django.urls import path

from apps.agents.api.catalogue import AgentsView, AgentView, ExecuteAgentView
from apps.agents.api.live import (
    AgentTaskView,
    ClaimView,
    HeartbeatView,
    InstanceActView,
    InstancesView,
    InstanceView,
    RegisterView,
)
from apps.agents.api.routing import RouteView
from apps.agents.views import catalogue, instances

pages = [
    path("agents", catalogue.catalogue, name="agents"),
    path("agents/<str:name>", catalogue.agent, name="agent"),
    path("agent-instances", instances.listed, name="agent_instances"),
    path("agent-instances/<str:ref>", instances.instance, name="agent_instance"),
    path("agent-instances/<str:ref>/<str:act>", instances.act, name="agent_instance_act"),
]

urlpatterns = [
    path("v1/agents", AgentsView.as_view()),
    path("v1/agents/execute", ExecuteAgentView.as_view()),
    path("v1/agents/register", RegisterView.as_view()),
    path("v1/agents/route", RouteView.as_view()),
    path("v1/agents/instances", InstancesView.as_view()),
    path("v1/agents/instances/<str:ref>", InstanceView.as_view()),
    path("v1/agents/<str:name>", AgentView.as_view()),
    path("v1/agents/<str:ref>/heartbeat", HeartbeatView.as_view()),
    path("v1/agents/<str:ref>/tasks/claim", ClaimView.as_view()),
    path("v1/agents/<str:ref>/tasks/<str:task>", AgentTaskView.as_view()),
    path("v1/agents/<str:ref>/<str:act>", InstanceActView.as_view()),
    path("agents/execute", ExecuteAgentView.as_view(schema=None)),  # the older address
    *pages,
]
