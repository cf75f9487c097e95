"""The addresses of agents."""

from django.urls import path

from apps.agents.api import definitions
from apps.agents.api.catalogue import AgentsView, AgentView, ExecuteAgentView
from apps.agents.views import catalogue, editing, playground, versions

pages = [
    path("agents", catalogue.catalogue, name="agents"),
    path("agents/new", editing.new, name="new_agent"),
    path("agents/new/document", editing.document, name="agent_document"),
    path("agents/<str:name>", catalogue.agent, name="agent"),
    path("agents/<str:name>/edit", editing.edit, name="edit_agent"),
    path("agents/<str:name>/versions", versions.versions, name="agent_versions"),
    path("agents/<str:name>/versions/<int:number>/restore", versions.restore, name="restore_agent_version"),
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
    path("v1/agent-definitions/<str:name>/export", definitions.ExportAgentView.as_view()),
    path("v1/agent-definitions/<str:name>/chat", definitions.ChatView.as_view()),
    path("v1/agents/<str:name>", AgentView.as_view()),
    path("agents/execute", ExecuteAgentView.as_view(schema=None)),  # the older address
    *pages,
]
