"""Rows of the tools, the vault and the language models."""

from apps.integrations.models.language_models import CachedAnswer, ModelProvider, ModelSetting
from apps.integrations.models.outbox import OutboxMessage
from apps.integrations.models.vault import OrganizationKey, Secret

__all__ = ["CachedAnswer", "ModelProvider", "ModelSetting", "OrganizationKey", "OutboxMessage", "Secret"]
