"""Operators' pages for what the built-in tools write."""

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin
from apps.integrations.models import OutboxMessage


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin[OutboxMessage]):
    list_display = ["to", "subject", "organization", "run_id", "node", "created_at"]
    list_select_related = ["organization"]
    search_fields = ["to", "subject", "organization__slug"]
