"""Rows of agents."""

from apps.agents.models.definitions import AgentDefinition, AgentVersion

__all__ = ["AgentDefinition", "AgentVersion"]
