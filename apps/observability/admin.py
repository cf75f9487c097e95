"""Operators' pages for what was seen of runs and what it cost."""

from django.contrib import admin

from apps.common.admin import HistoryAdmin, ReadOnlyAdmin
from apps.observability.models import Budget, BudgetAccount, LogLine, Usage


@admin.register(LogLine)
class LogLineAdmin(HistoryAdmin[LogLine]):
    list_display = ["created_at", "level", "node", "message", "run_id", "organization"]
    list_filter = ["level"]
    list_select_related = ["organization"]
    search_fields = ["message"]
    ids = ["pk", "run_id", "node_run_id"]
    heavy = ["fields"]


@admin.register(Usage)
class UsageAdmin(HistoryAdmin[Usage]):
    list_display = [
        "created_at",
        "model",
        "outcome",
        "input_tokens",
        "output_tokens",
        "cost_micro_usd",
        "agent",
        "organization",
    ]
    list_filter = ["outcome"]
    list_select_related = ["organization"]
    search_fields = ["model", "agent", "workflow", "caller"]
    ids = ["pk", "run_id", "node_run_id"]


@admin.register(Budget)
class BudgetAdmin(ReadOnlyAdmin[Budget]):
    list_display = ["name", "scope", "subject", "period", "limit_micro_usd", "at_cap", "enabled", "organization"]
    list_select_related = ["organization"]
    search_fields = ["name", "organization__slug"]


@admin.register(BudgetAccount)
class BudgetAccountAdmin(ReadOnlyAdmin[BudgetAccount]):
    list_display = ["budget", "subject", "period_start", "spent_micro_usd", "reserved_micro_usd", "organization"]
    list_select_related = ["budget", "organization"]
    search_fields = ["budget__name", "subject"]
