"""The agent that asks a language model: instructions, a task, and tools the model may call."""

from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, BaseModel, Field, JsonValue

from apps.agents.context import Context
from apps.agents.memory.assistance import MemoryConfig, closing_with_memory, opening_with_memory
from apps.agents.sdk import Agent
from apps.common.errors import Fatal, NotFound
from apps.common.json import JSON, dumps
from apps.integrations import registry as tools
from apps.integrations.language_models import Message, OfferedTool, Request, ToolCall, get
from apps.integrations.language_models.scripted import Scripted


class Assistant(Agent):
    """Does a task in words by asking a language model, which may call the tools it is given.

    Without a model it asks `demo/scripted`, which needs no key and plays a model by rules.
    """

    name = "assistant"
    capabilities = ("assistant", "language_model")

    class Config(MemoryConfig):
        instructions: str = Field("", max_length=100_000, description="Who the model is to be and how it answers.")
        model: str = Field(Scripted.name, description="The model that is asked where the node names none.")
        tools: list[str] = Field(default=[], max_length=50, description="Names of the tools that it may call.")
        most_turns: int = Field(8, ge=1, le=25, description="How often the model is asked before this is given up.")
        options: dict[str, JsonValue] = Field(default={}, description="Settings of the model, such as temperature.")

    class Input(BaseModel):
        task: str = Field(
            min_length=1, max_length=200_000, validation_alias=AliasChoices("task", "query", "goal", "description")
        )
        context: JsonValue = Field(None, description="What it is about: text, or the output of nodes before this one.")

    class Output(BaseModel):
        text: str
        model: str
        is_demo: bool
        turns: int
        tokens: int

    async def exec(self, task: Input, ctx: Context) -> Output:
        model = get(ctx.model or self.config.model)
        offered = tuple(_offered(name) for name in self.config.tools)
        opening = _opening(self.config.instructions, task)
        about = {"model": model.name, "options": self.config.options}
        messages = await opening_with_memory(ctx, opening, self.config, **about)
        before = len(messages) - 1  # what was remembered, and is no part of what is said here
        tokens = 0
        for turn in range(1, self.config.most_turns + 1):
            ctx.progress(None, f"Asks {model.name}" + (f", turn {turn}" if turn > 1 else ""))
            request = Request(
                model=model.name,
                messages=tuple(messages),
                tools=offered,
                options=self.config.options,
                attempt=ctx.attempt,
            )
            reply = await ctx.aask_model(request)
            tokens += reply.usage.input_tokens + reply.usage.output_tokens
            if not reply.message.tool_calls:
                await closing_with_memory(ctx, [*messages[before:], reply.message], self.config, **about)
                return self.Output(
                    text=reply.message.content, model=model.name, is_demo=model.is_demo, turns=turn, tokens=tokens
                )
            messages.append(reply.message)
            messages += [await self._call(call, ctx) for call in reply.message.tool_calls]
        message = f"The model asked for tools {self.config.most_turns} times and gave no answer."
        raise Fatal(f"{message} Raise 'most_turns', or ask for less.", code="too_many_turns")

    async def _call(self, call: ToolCall, ctx: Context) -> Message:
        """What a tool says; what it refuses is told to the model, which may do better."""
        if call.name not in self.config.tools:
            return _answer(call, {"error": f"There is no tool '{call.name}' here."})
        try:
            return _answer(call, await ctx.acall_tool(call.name, call.arguments))
        except (Fatal, NotFound) as refused:
            return _answer(call, {"error": str(refused)})


def _offered(name: str) -> OfferedTool:
    tool = tools.get(name)
    return OfferedTool(name=tool.name, description=tool.description, parameters=tool.input_schema)


def _opening(instructions: str, task: "Assistant.Input") -> list[Message]:
    asked = "\n\n".join([task.task, *_texts(task.context)])
    system = [Message(role="system", content=instructions)] if instructions else []
    return [*system, Message(role="user", content=asked)]


def _texts(context: JSON) -> Sequence[str]:
    """The context as a model reads it: texts as they are, the text of what other assistants gave, JSON of the rest."""
    if context is None:
        return ()
    parts: list[Any] = context if isinstance(context, list) else [context]
    return [_text(part) for part in parts]


def _text(part: JSON) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        part = part["text"]
    return part if isinstance(part, str) else dumps(part).decode()


def _answer(call: ToolCall, result: JSON) -> Message:
    return Message(role="tool", tool_call_id=call.id, content=dumps(result).decode())
