"""Operators' pages for the outbox, MCP servers, A2A agents, language models and the vault, which shows no secret."""

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin
from apps.integrations.models import (
    A2aAgent,
    CachedAnswer,
    McpServer,
    McpTool,
    ModelProvider,
    ModelSetting,
    OrganizationKey,
    OutboxMessage,
    Secret,
)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin[OutboxMessage]):
    list_display = ["to", "subject", "organization", "run_id", "node", "created_at"]
    list_select_related = ["organization"]
    search_fields = ["to", "subject", "organization__slug"]


@admin.register(ModelProvider)
class ModelProviderAdmin(ReadOnlyAdmin[ModelProvider]):
    list_display = ["name", "kind", "base_url", "organization", "created_at"]
    list_select_related = ["organization"]
    search_fields = ["name", "organization__slug"]


@admin.register(ModelSetting)
class ModelSettingAdmin(ReadOnlyAdmin[ModelSetting]):
    list_display = ["name", "provider", "model", "is_default", "organization"]
    list_select_related = ["provider", "organization"]
    search_fields = ["name", "model", "organization__slug"]


@admin.register(CachedAnswer)
class CachedAnswerAdmin(ReadOnlyAdmin[CachedAnswer]):
    list_display = ["digest", "organization", "created_at", "expires_at"]
    list_select_related = ["organization"]


@admin.register(Secret)
class SecretAdmin(ReadOnlyAdmin[Secret]):
    list_display = ["hint", "organization", "created_at", "changed_at"]
    list_select_related = ["organization"]
    exclude = ["wrapped", "sealed"]


@admin.register(OrganizationKey)
class OrganizationKeyAdmin(ReadOnlyAdmin[OrganizationKey]):
    list_display = ["organization", "master", "created_at"]
    list_select_related = ["organization"]
    exclude = ["wrapped"]


@admin.register(A2aAgent)
class A2aAgentAdmin(ReadOnlyAdmin[A2aAgent]):
    list_display = ["name", "card_url", "organization", "enabled", "problem", "refreshed_at"]
    list_select_related = ["organization"]
    search_fields = ["name", "card_url", "organization__slug"]


@admin.register(McpServer)
class McpServerAdmin(ReadOnlyAdmin[McpServer]):
    list_display = ["name", "url", "organization", "enabled", "problem", "refreshed_at"]
    list_select_related = ["organization"]
    search_fields = ["name", "url", "organization__slug"]


@admin.register(McpTool)
class McpToolAdmin(ReadOnlyAdmin[McpTool]):
    list_display = ["name", "server", "organization", "effect", "approved_by", "approved_at", "gone"]
    list_select_related = ["server", "organization"]
    search_fields = ["name", "server__name", "organization__slug"]
