"""Rows of the tools, MCP servers, A2A agents, the vault and the language models."""

from apps.integrations.models.a2a import A2aAgent
from apps.integrations.models.language_models import CachedAnswer, ModelProvider, ModelSetting
from apps.integrations.models.mcp import McpServer, McpTool
from apps.integrations.models.outbox import OutboxMessage
from apps.integrations.models.vault import OrganizationKey, Secret

__all__ = [
    "A2aAgent",
    "CachedAnswer",
    "McpServer",
    "McpTool",
    "ModelProvider",
    "ModelSetting",
    "OrganizationKey",
    "OutboxMessage",
    "Secret",
]
