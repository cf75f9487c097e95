"""The rows behind agents."""

from apps.agents.models.bus import Channel, ChannelGroup, ChannelMessage, Delivery
from apps.agents.models.definitions import AgentDefinition, AgentVersion
from apps.agents.models.memory import AgentSession, Memory, SessionTurn

__all__ = [
    "AgentDefinition",
    "AgentSession",
    "AgentVersion",
    "Channel",
    "ChannelGroup",
    "ChannelMessage",
    "Delivery",
    "Memory",
    "SessionTurn",
]
