"""Rows of agents: those that live outside of Orchestra, what they work on, and how well all of them do."""

from apps.agents.models.live import AgentInstance, AgentTask
from apps.agents.models.merit import AgentDecision, AgentFigures

__all__ = ["AgentDecision", "AgentFigures", "AgentInstance", "AgentTask"]
