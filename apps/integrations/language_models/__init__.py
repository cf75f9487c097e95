"""Language models: what is said to one, what it answers, and the models that this process knows."""

from apps.integrations.language_models.asking import STEP, Conversation, ask, reply_in
from apps.integrations.language_models.registry import LanguageModel, get, register
from apps.integrations.language_models.shapes import Message, OfferedTool, Reply, Request, ToolCall, Usage

__all__ = [
    "STEP",
    "Conversation",
    "LanguageModel",
    "Message",
    "OfferedTool",
    "Reply",
    "Request",
    "ToolCall",
    "Usage",
    "ask",
    "get",
    "register",
    "reply_in",
]
