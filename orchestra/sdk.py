"""Everything a plugin author imports; see "How to write an agent" in the README."""

from pydantic import BaseModel

from apps.agents.bus import BROADCAST, NoReply, Signal
from apps.agents.bus import Message as BusMessage
from apps.agents.context import Context, LocalContext
from apps.agents.roles.teams import AgentFactory, WorkflowPatterns
from apps.agents.sdk import Agent, BaseNode, Route
from apps.agents.serving import serve
from apps.common.asyncio_loop import Cancelled
from apps.common.errors import DidNotHappen, Fatal, Retryable
from apps.integrations.language_models import Message, Reply, Request
from apps.integrations.tools import ToolContext, tool

__all__ = [
    "BROADCAST",
    "Agent",
    "AgentFactory",
    "BaseModel",
    "BaseNode",
    "BusMessage",
    "Cancelled",
    "Context",
    "DidNotHappen",
    "Fatal",
    "LocalContext",
    "Message",
    "NoReply",
    "Reply",
    "Request",
    "Retryable",
    "Route",
    "Signal",
    "ToolContext",
    "WorkflowPatterns",
    "serve",
    "tool",
]
