"""The addresses of agents and of the channels between them."""

from django.urls import path

from apps.agents.api import AgentsView, AgentView, ExecuteAgentView
from apps.agents.bus.api import (
    ChannelGroupView,
    ChannelMessagesView,
    ChannelsView,
    ChannelView,
    DeadLettersView,
    DeadLetterView,
)
from apps.agents.views import catalogue, channels

pages = [
    path("agents", catalogue.catalogue, name="agents"),
    path("agents/<str:name>", catalogue.agent, name="agent"),
    path("channels", channels.channels, name="channels"),
    path("channels/<str:name>", channels.channel, name="channel"),
    path("channels/<str:name>/dead-letters/<uuid:ref>", channels.dead_letter, name="dead_letter"),
]

urlpatterns = [
    path("v1/agents", AgentsView.as_view()),
    path("v1/agents/execute", ExecuteAgentView.as_view()),
    path("v1/agents/<str:name>", AgentView.as_view()),
    path("v1/channels", ChannelsView.as_view()),
    path("v1/channels/<str:name>", ChannelView.as_view()),
    path("v1/channels/<str:name>/groups/<str:group>", ChannelGroupView.as_view()),
    path("v1/channels/<str:name>/messages", ChannelMessagesView.as_view()),
    path("v1/dead-letters", DeadLettersView.as_view()),
    path("v1/dead-letters/<str:ref>", DeadLetterView.as_view()),
    path("agents/execute", ExecuteAgentView.as_view(schema=None)),  # the older address
    *pages,
]
