"""The rows behind agents."""

from apps.agents.models.memory import AgentSession, Memory, SessionTurn

__all__ = ["AgentSession", "Memory", "SessionTurn"]
