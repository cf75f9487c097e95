"""Operators' pages for agents, their sessions and memories: these are looked at here, and erased where people do it."""

from django.contrib import admin

from apps.agents.models import AgentDefinition, AgentSession, AgentVersion, Memory, SessionTurn
from apps.common.admin import HistoryAdmin, ReadOnlyAdmin


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


@admin.register(AgentSession)
class AgentSessionAdmin(HistoryAdmin[AgentSession]):
    list_display = ["key", "agent", "organization", "last_seq", "summary_seq", "created_by", "last_used_at"]
    list_select_related = ["organization"]
    search_fields = ["key", "agent"]
    heavy = ["summary"]


@admin.register(SessionTurn)
class SessionTurnAdmin(HistoryAdmin[SessionTurn]):
    list_display = ["session", "seq", "role", "agent", "tainted", "run_id", "node", "created_at"]
    list_select_related = ["session"]
    search_fields = ["session__key", "agent"]
    ids = ["pk", "session_id", "run_id"]
    heavy = ["content", "tool_calls"]


@admin.register(Memory)
class MemoryAdmin(HistoryAdmin[Memory]):
    list_display = ["__str__", "kind", "agent", "session", "importance", "tainted", "recalls", "last_recalled_at"]
    list_select_related = ["session"]
    list_filter = ["kind", "tainted"]
    search_fields = ["text", "agent", "session__key"]
    ids = ["pk", "session_id", "run_id"]
    heavy = ["embedding"]
    exclude = ["embedding"]
