"""Operators' pages for what is between agents."""

from django.contrib import admin

from apps.agents.models import Channel, ChannelGroup, ChannelMessage, Delivery
from apps.common.admin import HistoryAdmin


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
