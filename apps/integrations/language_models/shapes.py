"""What is said to a language model and what it answers, in the terms of the chat APIs of the field."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue


class Shape(BaseModel):
    """A value with a JSON form, which is how a run's journal keeps it."""

    model_config = ConfigDict(frozen=True)


class ToolCall(Shape):
    """What a model wants called; `id` is what the answer to it names."""

    id: str
    name: str
    arguments: dict[str, JsonValue] = {}


class Message(Shape):
    """One contribution to a conversation.

    `tool_calls` is what an assistant wants called; `tool_call_id` is what a tool's message answers.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class OfferedTool(Shape):
    """A tool that the model may ask for; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


class Request(Shape):
    """A question: the conversation so far, and what may be called.

    `options` are settings of the model. `attempt` is 1 the first time the node is tried.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[OfferedTool, ...] = ()
    options: dict[str, JsonValue] = {}
    attempt: int = 1


class Usage(Shape):
    """What an answer took: tokens in and out, and its price in millionths of a dollar."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_usd: int = 0


class Reply(Shape):
    """An answer: a message that ends the turn, or one that asks for tools."""

    message: Message
    usage: Usage = Usage()
