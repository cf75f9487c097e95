"""What agents keep in rows."""

from apps.agents.models.bus import Channel, ChannelGroup, ChannelMessage, Delivery

__all__ = ["Channel", "ChannelGroup", "ChannelMessage", "Delivery"]
