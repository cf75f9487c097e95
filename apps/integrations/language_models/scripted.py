"""`demo/scripted`: plays a language model by rules, so that agents that need one can be seen at work without a key.

It reads what it is told to be in its instructions (plan, research, review), calls each tool it is offered once, and
answers with sentences out of what it was given, or with JSON made of them that fits a simple schema. The same
question has the same answer. Everything it says is marked.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apps.common.errors import Fatal, Retryable
from apps.common.validation import describe_failure
from apps.integrations.language_models.registry import Hear, register
from apps.integrations.language_models.scripted_json import fitting
from apps.integrations.language_models.shapes import Message, OfferedTool, Reply, Request, ToolCall, Usage

MARK = "[demo]"
CHARACTERS_OF_A_TOKEN = 4
MOST_SENTENCES = 4
WORDS_AT_A_TIME = 4
SENTENCE = re.compile(r"[^.!?\n]+[.!?]")
BLOCK_MARK = re.compile(r"</?data-[0-9a-f]+>\n?")  # around what is only to be read
ABOUT = re.compile(r"\b(?:about|of|on|in|for)\s+(.+)", re.IGNORECASE)


class Options(BaseModel):
    """What a request's options may say."""

    model_config = ConfigDict(extra="forbid")
    seconds: float = Field(0.6, ge=0, le=60)  # how long an answer takes, so that people can watch
    failures: int = Field(0, ge=0, le=10)  # how many attempts fail first, so that people can see retries


class Scripted:
    """The model; see the module."""

    name = "demo/scripted"
    description = "Plays a language model by rules, without a key and without cost. Its answers are no advice."
    is_demo = True

    async def answer(self, request: Request, hear: Hear) -> Reply:
        """Give the answer after a moment; raises Retryable for as many attempts as the options ask for."""
        options = _options(request)
        await asyncio.sleep(options.seconds / 2)
        if request.attempt <= options.failures:
            raise Retryable("demo/scripted is overloaded: this attempt fails on purpose.", code="model_overloaded")
        wanted = _calls(request)
        message = Message(role="assistant", tool_calls=wanted) if wanted else _answer(request)
        await _speak(message.content, hear, options.seconds / 2)
        return Reply(message=message, usage=_usage(request, message))


async def _speak(text: str, hear: Hear, seconds: float) -> None:
    """Say the text a few words at a time, as a model does that streams."""
    words = text.split(" ")
    for place in range(0, len(words), WORDS_AT_A_TIME):
        await asyncio.sleep(seconds * WORDS_AT_A_TIME / max(len(words), WORDS_AT_A_TIME))
        hear((" " if place else "") + " ".join(words[place : place + WORDS_AT_A_TIME]))


def _options(request: Request) -> Options:
    try:
        return Options.model_validate(request.options)
    except ValidationError as error:
        raise Fatal(describe_failure("The options of demo/scripted", error), code="invalid_options") from None


# ---- tools ------------------------------------------------------------------------------------------


def _calls(request: Request) -> tuple[ToolCall, ...]:
    """Each tool once, before the first answer."""
    if any(message.role == "tool" for message in request.messages):
        return ()
    text = _first_line(_asked(request.messages))
    return tuple(
        ToolCall(id=f"call_{number}", name=tool.name, arguments=_arguments(tool, text))
        for number, tool in enumerate(request.tools, start=1)
    )


def _arguments(tool: OfferedTool, text: str) -> dict[str, Any]:
    """What the schema requires, with the task for every text."""
    properties = tool.parameters.get("properties", {})
    values: dict[str, Any] = {"string": text, "integer": 1, "number": 1.0, "boolean": False, "array": []}
    return {
        name: values.get(properties.get(name, {}).get("type", ""), text) for name in tool.parameters.get("required", ())
    }


# ---- sentences --------------------------------------------------------------------------------------


def _answer(request: Request) -> Message:
    """What it says; where JSON is asked for, its sentences are the texts in it."""
    said = _said(request.messages)
    if request.output_schema is None:
        return said
    sentences = [f"{MARK} {sentence}" for sentence in _sentences(said.content)] or [said.content]
    value = fitting(request.output_schema, itertools.cycle(sentences))
    return Message(role="assistant", content=json.dumps(value, ensure_ascii=False))


def _said(messages: Sequence[Message]) -> Message:
    instructions = next((message.content for message in messages if message.role == "system"), "").lower()
    asked = _asked(messages)
    found = [message.content for message in messages if message.role == "tool"]
    play = next((play for word, play in _PLAYS if word in instructions), _summarise)
    return Message(role="assistant", content=f"{MARK} {play(asked, found)}")


def _plan(asked: str, _: Sequence[str]) -> str:
    subject = _subject(asked)
    questions = f"1. What is known about {subject}?\n2. What is changing?\n3. What speaks against it?"
    return f"Three questions on {subject}:\n{questions}"


def _research(asked: str, found: Sequence[str]) -> str:
    texts = [text for result in found for text in _texts(result)]
    if not texts:
        return f"Nothing was found about {_subject(asked)}. Ask more broadly, or add a source."
    return " ".join([sentence for text in texts for sentence in _sentences(text)][:MOST_SENTENCES])


def _review(asked: str, _: Sequence[str]) -> str:
    _, _, material = asked.partition("\n\n")
    reports = [report for report in material.split("\n\n") if report.strip()]
    points = "\n".join(f"- {next(iter(_sentences(report)), report.strip())}" for report in reports)
    return f"What {len(reports)} reports come down to:\n{points}\nOpen: a source for each claim, and one figure."


def _summarise(asked: str, found: Sequence[str]) -> str:
    texts = [text for result in found for text in _texts(result)] or [asked]
    return " ".join(sentence for text in texts for sentence in _sentences(text)[:2]) or f"On {_subject(asked)}."


_PLAYS: tuple[tuple[str, Callable[[str, Sequence[str]], str]], ...] = (
    ("plan", _plan), ("research", _research), ("review", _review), ("critic", _review),
)  # fmt: skip


def _asked(messages: Sequence[Message]) -> str:
    asked = next((message.content for message in reversed(messages) if message.role == "user"), "")
    return BLOCK_MARK.sub("", asked)


def _first_line(asked: str) -> str:
    return asked.strip().partition("\n")[0].strip()[:200] or "the task"


def _subject(asked: str) -> str:
    first = _first_line(asked).rstrip(".?!:")
    found = ABOUT.search(first)
    return (found[1] if found else first)[:120]


def _texts(result: str) -> list[str]:
    """The texts in a tool's JSON result, which may be any."""
    try:
        value = json.loads(result)
    except ValueError:
        return [result]
    rows = value if isinstance(value, list) else [value]
    return [str(row.get("text", "")) if isinstance(row, dict) else str(row) for row in rows]


def _sentences(text: str) -> list[str]:
    unmarked = text.replace(MARK, "")
    return [" ".join(sentence.split()) for sentence in SENTENCE.findall(unmarked)][:MOST_SENTENCES]


def _usage(request: Request, message: Message) -> Usage:
    """Tokens as a rule of thumb counts them; it costs nothing."""
    asked = sum(len(one.content) for one in request.messages)
    answered = len(message.content) + sum(len(json.dumps(call.arguments)) for call in message.tool_calls)
    return Usage(input_tokens=asked // CHARACTERS_OF_A_TOKEN + 1, output_tokens=answered // CHARACTERS_OF_A_TOKEN + 1)


register(Scripted())
