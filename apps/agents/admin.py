"""Operators' pages for agents, their sessions and memories: these are looked at here, and erased where people do it."""

from django.contrib import admin

from apps.agents.models import (
    AgentDecision,
    AgentDefinition,
    AgentFigures,
    AgentInstance,
    AgentSession,
    AgentTask,
    AgentTrial,
    AgentTrialFigures,
    AgentVersion,
    Channel,
    ChannelGroup,
    ChannelMessage,
    Delivery,
    Memory,
    RolePrompt,
    SessionTurn,
)
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


@admin.register(AgentTrial)
class AgentTrialAdmin(ReadOnlyAdmin[AgentTrial]):
    list_display = ["agent", "candidate", "baseline", "percent", "started_by", "created_at", "ended_at", "kept"]
    list_select_related = ["agent"]
    search_fields = ["agent__name"]


@admin.register(AgentTrialFigures)
class AgentTrialFiguresAdmin(ReadOnlyAdmin[AgentTrialFigures]):
    list_display = ["trial", "number", "visits", "failures", "turns", "tokens", "cost_micro_usd"]
    list_select_related = ["trial__agent"]
    search_fields = ["trial__agent__name"]


@admin.register(RolePrompt)
class RolePromptAdmin(ReadOnlyAdmin[RolePrompt]):
    list_display = ["role", "number", "message", "created_by", "created_at", "organization"]
    list_select_related = ["organization"]
    search_fields = ["role", "message"]


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


@admin.register(Channel)
class ChannelAdmin(HistoryAdmin[Channel]):
    list_display = ["name", "organization", "last_seq", "schema_name", "max_deliveries", "created_at"]
    list_select_related = ["organization"]
    search_fields = ["name"]
    heavy = ["schema"]


@admin.register(ChannelGroup)
class ChannelGroupAdmin(HistoryAdmin[ChannelGroup]):
    list_display = ["name", "channel", "organization", "created_at"]
    list_select_related = ["channel", "organization"]
    search_fields = ["name", "channel__name"]
    ids = ["pk", "channel_id"]


@admin.register(ChannelMessage)
class ChannelMessageAdmin(HistoryAdmin[ChannelMessage]):
    list_display = ["created_at", "channel", "seq", "kind", "origin", "run_id", "node", "organization"]
    list_select_related = ["channel", "organization"]
    list_filter = ["kind"]
    search_fields = ["channel__name", "origin"]
    ids = ["pk", "channel_id", "run_id", "correlation_id"]
    heavy = ["payload"]


@admin.register(Delivery)
class DeliveryAdmin(HistoryAdmin[Delivery]):
    list_display = ["created_at", "group", "seq", "state", "deliveries", "available_at", "reader", "organization"]
    list_select_related = ["group", "organization"]
    list_filter = ["state"]
    search_fields = ["group__name", "reader"]
    ids = ["pk", "group_id", "message_id"]
    heavy = ["error"]


@admin.register(AgentInstance)
class AgentInstanceAdmin(HistoryAdmin[AgentInstance]):
    list_display = ["name", "agent", "state", "mode", "load", "max_concurrency", "heartbeat_at", "organization"]
    list_filter = ["state", "mode"]
    list_select_related = ["organization"]
    search_fields = ["name", "agent"]
    heavy = ["capabilities", "input_schema", "output_schema", "config_schema"]
    exclude = ["secret_digest"]


@admin.register(AgentTask)
class AgentTaskAdmin(HistoryAdmin[AgentTask]):
    list_display = ["id", "agent", "capability", "instance", "state", "fence", "tries", "lost_count", "organization"]
    list_filter = ["state"]
    list_select_related = ["organization", "instance"]
    search_fields = ["agent", "=key"]
    ids = ["pk", "run_id", "instance_id"]
    heavy = ["input", "output", "config", "error"]


@admin.register(AgentFigures)
class AgentFiguresAdmin(HistoryAdmin[AgentFigures]):
    list_display = [
        "agent",
        "capability",
        "calls",
        "success",
        "latency_ms",
        "usd",
        "failures",
        "open_until",
        "organization",
    ]
    list_select_related = ["organization"]
    search_fields = ["agent", "capability"]
    heavy = ["recent_ms"]


@admin.register(AgentDecision)
class AgentDecisionAdmin(HistoryAdmin[AgentDecision]):
    list_display = ["chosen", "capability", "attempt", "reason", "run_id", "created_at", "organization"]
    list_select_related = ["organization"]
    search_fields = ["chosen", "capability"]
    ids = ["pk", "run_id"]
    heavy = ["candidates"]
