"""Operators' pages for what was seen of runs."""

from django.contrib import admin

from apps.common.admin import HistoryAdmin
from apps.observability.models import LogLine


@admin.register(LogLine)
class LogLineAdmin(HistoryAdmin[LogLine]):
    list_display = ["created_at", "level", "node", "message", "run_id", "organization"]
    list_filter = ["level"]
    list_select_related = ["organization"]
    search_fields = ["message"]
    ids = ["pk", "run_id", "node_run_id"]
    heavy = ["fields"]
