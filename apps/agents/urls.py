"""The addresses of agents, of what they remember and of the channels between them."""

from django.urls import path

from apps.agents.api import definitions
from apps.agents.api.catalogue import AgentsView, AgentView, ExecuteAgentView
from apps.agents.api.live import (
    AgentTaskView,
    ClaimView,
    HeartbeatView,
    InstanceActView,
    InstancesView,
    InstanceView,
    RegisterView,
    TaskReportsView,
)
from apps.agents.api.memory import MemoriesView, OneMemoryView, OneSessionView, SessionsView, TurnsView
from apps.agents.api.roles import PromptVersionsView, RolePromptView, RolesView
from apps.agents.api.routing import RouteView
from apps.agents.api.trials import EndTrialView, TrialView
from apps.agents.bus.api import (
    ChannelGroupView,
    ChannelMessagesView,
    ChannelsView,
    ChannelView,
    DeadLettersView,
    DeadLetterView,
)
from apps.agents.views import (
    catalogue,
    channels,
    editing,
    instances,
    memories,
    playground,
    roles,
    sessions,
    trials,
    versions,
)

pages = [
    path("agents", catalogue.catalogue, name="agents"),
    path("agents/new", editing.new, name="new_agent"),
    path("agents/new/document", editing.document, name="agent_document"),
    path("agents/<str:name>", catalogue.agent, name="agent"),
    path("agent-roles", roles.roles, name="agent_roles"),
    path("agent-roles/<str:name>", roles.role, name="agent_role"),
    path("agent-roles/<str:name>/reset", roles.reset, name="reset_agent_role"),
    path("sessions", sessions.session_list, name="sessions"),
    path("sessions/erase", sessions.erase_of_agent, name="erase_sessions"),
    path("sessions/<str:ref>", sessions.session, name="session"),
    path("sessions/<str:ref>/erase", sessions.erase, name="erase_session"),
    path("memories", memories.memory_list, name="memories"),
    path("memories/erase", memories.erase_many, name="erase_memories"),
    path("memories/<str:ref>/erase", memories.erase, name="erase_memory"),
    path("channels", channels.channels, name="channels"),
    path("new-channel", channels.new, name="new_channel"),  # beside them: a channel may be called anything
    path("channels/<str:name>", channels.channel, name="channel"),
    path("channels/<str:name>/publish", channels.publish, name="publish_to_channel"),
    path("channels/<str:name>/dead-letters/<uuid:ref>", channels.dead_letter, name="dead_letter"),
    path("agent-instances", instances.listed, name="agent_instances"),
    path("agent-instances/<str:ref>", instances.instance, name="agent_instance"),
    path("agent-instances/<str:ref>/<str:act>", instances.act, name="agent_instance_act"),
    path("agents/<str:name>/edit", editing.edit, name="edit_agent"),
    path("agents/<str:name>/versions", versions.versions, name="agent_versions"),
    path("agents/<str:name>/versions/<int:number>/restore", versions.restore, name="restore_agent_version"),
    path("agents/<str:name>/trial", trials.start, name="start_agent_trial"),
    path("agents/<str:name>/trial/end", trials.end, name="end_agent_trial"),
    path("agents/<str:name>/export", versions.export, name="export_agent"),
    path("agents/<str:name>/playground", playground.playground, name="agent_playground"),
    path("agents/<str:name>/archive", editing.archive, name="archive_agent"),
]

urlpatterns = [
    path("v1/agents", AgentsView.as_view()),
    path("v1/agents/execute", ExecuteAgentView.as_view()),
    path("v1/agent-definitions", definitions.AgentDefinitionsView.as_view()),
    path("v1/agent-definitions/<str:name>", definitions.AgentDefinitionView.as_view()),
    path("v1/agent-definitions/<str:name>/versions", definitions.AgentVersionsView.as_view()),
    path("v1/agent-definitions/<str:name>/versions/<int:number>", definitions.AgentVersionView.as_view()),
    path("v1/agent-definitions/<str:name>/trial", TrialView.as_view()),
    path("v1/agent-definitions/<str:name>/trial/end", EndTrialView.as_view()),
    path("v1/agent-definitions/<str:name>/export", definitions.ExportAgentView.as_view()),
    path("v1/agent-definitions/<str:name>/chat", definitions.ChatView.as_view()),
    path("v1/agent-roles", RolesView.as_view()),
    path("v1/agent-roles/<str:role>/prompt", RolePromptView.as_view()),
    path("v1/agent-roles/<str:role>/prompt/versions", PromptVersionsView.as_view()),
    path("v1/sessions", SessionsView.as_view()),
    path("v1/sessions/<str:ref>", OneSessionView.as_view()),
    path("v1/sessions/<str:ref>/turns", TurnsView.as_view()),
    path("v1/memories", MemoriesView.as_view()),
    path("v1/memories/<str:ref>", OneMemoryView.as_view()),
    path("v1/channels", ChannelsView.as_view()),
    path("v1/channels/<str:name>", ChannelView.as_view()),
    path("v1/channels/<str:name>/groups/<str:group>", ChannelGroupView.as_view()),
    path("v1/channels/<str:name>/messages", ChannelMessagesView.as_view()),
    path("v1/dead-letters", DeadLettersView.as_view()),
    path("v1/dead-letters/<str:ref>", DeadLetterView.as_view()),
    path("v1/agents/register", RegisterView.as_view()),
    path("v1/agents/route", RouteView.as_view()),
    path("v1/agents/instances", InstancesView.as_view()),
    path("v1/agents/instances/<str:ref>", InstanceView.as_view()),
    path("v1/agents/<str:name>", AgentView.as_view()),
    path("v1/agents/<str:ref>/heartbeat", HeartbeatView.as_view()),
    path("v1/agents/<str:ref>/tasks/claim", ClaimView.as_view()),
    path("v1/agents/<str:ref>/tasks/<str:task>", AgentTaskView.as_view()),
    path("v1/agents/<str:ref>/tasks/<str:task>/reports", TaskReportsView.as_view()),
    path("v1/agents/<str:ref>/<str:act>", InstanceActView.as_view()),
    path("agents/execute", ExecuteAgentView.as_view(schema=None)),  # the older address
    *pages,
]
