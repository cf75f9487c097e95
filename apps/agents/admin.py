"""Operators' pages for agents."""

from django.contrib import admin

from apps.agents.models import AgentDefinition, AgentVersion
from apps.common.admin import ReadOnlyAdmin


@admin.register(AgentDefinition)
class AgentDefinitionAdmin(ReadOnlyAdmin[AgentDefinition]):
    list_display = ["name", "latest_version", "organization", "created_at", "archived_at"]
    list_select_related = ["organization"]
    search_fields = ["name", "organization__slug"]


@admin.register(AgentVersion)
class AgentVersionAdmin(ReadOnlyAdmin[AgentVersion]):
    list_display = ["agent", "number", "message", "created_by", "created_at", "organization"]
    list_select_related = ["agent", "organization"]
    search_fields = ["agent__name", "message"]
