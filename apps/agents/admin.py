"""Operators' pages for agents outside, their tasks, and how agents are chosen."""

from django.contrib import admin

from apps.agents.models import AgentDecision, AgentFigures, AgentInstance, AgentTask
from apps.common.admin import HistoryAdmin


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
