"""What is said to a language model and what it answers, in the terms of the chat APIs of the field."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue


class Shape(BaseModel):
    """A value with a JSON form, which is how a run's journal keeps it."""

    model_config = ConfigDict(frozen=True)


class ToolCall(Shape):
    """What a model wants called; `id` is what the answer to it names.

    `invalid` is what the model wrote instead of a JSON object, where it did.
    """

    id: str
    name: str
    arguments: dict[str, JsonValue] = {}
    invalid: str | None = None


class Attachment(Shape):
    """A file for a model to look at: its bytes in base 64, and what they are (`image/png`, `application/pdf`)."""

    media_type: str
    data: str
    name: str = "file"


class Message(Shape):
    """One contribution to a conversation.

    `tool_calls` is what an assistant wants called; `tool_call_id` is what a tool's message answers.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    attachments: tuple[Attachment, ...] = ()


class OfferedTool(Shape):
    """A tool that the model may ask for; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


class Request(Shape):
    """A question: the conversation so far, and what may be called.

    `output_schema` is the JSON Schema of the answer, where it is to be JSON. `options` are settings of the model, such
    as `temperature` and `max_tokens`. `attempt` is 1 the first time the node is tried.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[OfferedTool, ...] = ()
    output_schema: dict[str, Any] | None = None
    options: dict[str, JsonValue] = {}
    attempt: int = 1


class Usage(Shape):
    """What an answer took: tokens in and out, and its price in millionths of a dollar.

    `cached_tokens` are those of the input that the provider knew from before, `reasoning_tokens` those of the output
    that nobody is shown. Where nobody knows the price, `is_priced` is false and the cost 0.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micro_usd: int = 0
    is_priced: bool = True


class Reply(Shape):
    """An answer: a message that ends the turn, or one that asks for tools.

    `ended` says why it is no longer: it is complete, has reached its `length`, or was held back by a `filter`. `model`
    is the one that answered, by the name that the organization has for it; `is_demo` where no real one did.
    """

    message: Message
    usage: Usage = Usage()
    ended: Literal["complete", "length", "filter"] = "complete"
    model: str = ""
    is_demo: bool = False
