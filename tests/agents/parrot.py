"""A language model that says what a test wants it to say."""

from typing import Any

from apps.integrations.language_models import Message, Reply, Request, ToolCall, Usage


class Parrot:
    """A model that gives the answers it was handed, and remembers what it was asked."""

    name, description, is_demo = "test/parrot", "Says what it was told.", False

    def __init__(self, *replies: Message) -> None:
        self.replies, self.asked = list(replies), []

    async def answer(self, request: Request, hear: Any) -> Reply:
        self.asked.append(request)
        message = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        hear(message.content)
        return Reply(message=message, usage=Usage(input_tokens=10, output_tokens=5))


def said(text: str) -> Message:
    return Message(role="assistant", content=text)


def wants(name: str, **arguments: Any) -> Message:
    return Message(role="assistant", tool_calls=(ToolCall(id="1", name=name, arguments=arguments),))
