"""Language models: what is said to one, what it answers, and the models that are known."""

from apps.integrations.language_models.records import STEP, Conversation, ask_plainly, reply_in
from apps.integrations.language_models.registry import LanguageModel, get, register
from apps.integrations.language_models.shapes import (
    Attachment,
    Message,
    OfferedTool,
    Reply,
    Request,
    ToolCall,
    Usage,
)

__all__ = [
    "STEP",
    "Attachment",
    "Conversation",
    "LanguageModel",
    "Message",
    "OfferedTool",
    "Reply",
    "Request",
    "ToolCall",
    "Usage",
    "ask_plainly",
    "get",
    "register",
    "reply_in",
]
