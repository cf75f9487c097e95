"""The rows behind agents."""

from apps.agents.models.definitions import AgentDefinition, AgentVersion
from apps.agents.models.memory import AgentSession, Memory, SessionTurn

__all__ = ["AgentDefinition", "AgentSession", "AgentVersion", "Memory", "SessionTurn"]
