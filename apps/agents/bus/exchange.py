"""All that is done with messages, under one name."""

from apps.agents.bus.channels import declare
from apps.agents.bus.messages import BROADCAST, Message, NoReply, Options, Sender, Signal
from apps.agents.bus.publishing import publish
from apps.agents.bus.reading import Reader, acknowledge
from apps.agents.bus.requests import await_reply, reply, request

__all__ = [
    "BROADCAST",
    "Message",
    "NoReply",
    "Options",
    "Reader",
    "Sender",
    "Signal",
    "acknowledge",
    "await_reply",
    "declare",
    "publish",
    "reply",
    "request",
]
