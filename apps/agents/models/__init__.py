"""The rows behind agents."""

from apps.agents.models.bus import Channel, ChannelGroup, ChannelMessage, Delivery
from apps.agents.models.definitions import AgentDefinition, AgentVersion
from apps.agents.models.live import AgentInstance, AgentTask
from apps.agents.models.memory import AgentSession, Memory, SessionTurn
from apps.agents.models.merit import AgentDecision, AgentFigures
from apps.agents.models.roles import RolePrompt
from apps.agents.models.trials import AgentTrial, AgentTrialFigures

__all__ = [
    "AgentDecision",
    "AgentDefinition",
    "AgentFigures",
    "AgentInstance",
    "AgentSession",
    "AgentTask",
    "AgentTrial",
    "AgentTrialFigures",
    "AgentVersion",
    "Channel",
    "ChannelGroup",
    "ChannelMessage",
    "Delivery",
    "Memory",
    "RolePrompt",
    "SessionTurn",
]
