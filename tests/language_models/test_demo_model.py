"""`demo/scripted`: a language model that can be seen at work without a key."""

import asyncio
import json
from typing import Any

import pytest

from apps.common.errors import Fatal, NotFound, Retryable
from apps.common.json_schema import Checker
from apps.integrations.language_models import Message, OfferedTool, Reply, Request, ToolCall, get
from apps.integrations.language_models.records import deaf

SEARCH = OfferedTool(
    name="demo.search",
    description="Searches.",
    parameters={"properties": {"query": {"type": "string"}, "limit": {"type": "integer"}}, "required": ["query"]},
)


def ask(*messages: tuple[str, str], tools: tuple[OfferedTool, ...] = (), attempt: int = 1, **options: Any) -> Reply:
    said = tuple(Message(role=role, content=content) for role, content in messages)  # type: ignore[arg-type]
    request = Request(
        model="demo/scripted", messages=said, tools=tools, options={"seconds": 0, **options}, attempt=attempt
    )
    return asyncio.run(get("demo/scripted").answer(request, deaf))


def test_the_same_question_has_the_same_answer_and_it_is_marked() -> None:
    first, second = (ask(("user", "Say something about tea.")) for _ in range(2))

    assert first == second
    assert first.message.content.startswith("[demo] ")


@pytest.mark.parametrize(
    ("instructions", "words"),
    [("You plan research.", "Three questions on tea"), ("You are a critic.", "What 2 reports come down to")],
)
def test_it_plays_what_its_instructions_say(instructions: str, words: str) -> None:
    reply = ask(("system", instructions), ("user", "Judge the reports about tea\n\nIt is hot.\n\nIt is cheap."))

    assert words in reply.message.content


def test_it_asks_for_each_tool_once_and_answers_out_of_what_they_say() -> None:
    messages = [("system", "You research."), ("user", "Research the history of tea")]

    wanted = ask(*messages, tools=(SEARCH,))
    request = Request(
        model="demo/scripted",
        messages=(
            *(Message(role=role, content=content) for role, content in messages),  # type: ignore[arg-type]
            wanted.message,
            Message(role="tool", tool_call_id="call_1", content='[{"title": "Tea", "text": "Tea is a leaf."}]'),
        ),
        tools=(SEARCH,),
        options={"seconds": 0},
    )
    answer = asyncio.run(get("demo/scripted").answer(request, deaf))

    query = {"query": "Research the history of tea"}
    assert wanted.message.tool_calls == (ToolCall(id="call_1", name="demo.search", arguments=query),)
    assert answer.message.content == "[demo] Tea is a leaf."
    assert not answer.message.tool_calls


def test_it_fails_on_purpose_for_as_many_attempts_as_asked() -> None:
    with pytest.raises(Retryable) as raised:
        ask(("user", "Tea?"), attempt=1, failures=1)

    assert raised.value.code == "model_overloaded"
    assert ask(("user", "Tea?"), attempt=2, failures=1).message.content


def test_options_that_it_does_not_know_are_refused() -> None:
    with pytest.raises(Fatal, match="temperature"):
        ask(("user", "Tea?"), temperature=1)


def test_an_unknown_model_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="Did you mean 'demo/scripted'"):
        get("demo/scriptd")


@pytest.mark.parametrize("text", ["", "{", "\n\n", "\x00", "😀" * 1000, "about", "[]"])
def test_it_answers_whatever_it_is_asked(text: str) -> None:
    for instructions in ("plan", "research", "critic", ""):
        assert ask(("system", instructions), ("user", text), ("tool", text)).message.content


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "required": ["pass"],
            "properties": {"pass": {"type": "boolean"}, "why": {"type": "string"}},
        },
        {"type": "array", "minItems": 2, "items": {"enum": ["revise", "accept"]}},
        {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 3}, "x": {"type": "number", "maximum": 0.5}},
        },
        {"type": "object", "additionalProperties": False, "properties": {"title": {"type": "string", "maxLength": 9}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": ["null", "string"], "minLength": 90}}},
        {"$ref": "#/$defs/tree", "$defs": {"tree": {"properties": {"of": {"$ref": "#/$defs/tree"}}, "type": "object"}}},
        {"anyOf": [{"const": 7}, {"type": "string"}]},
        {},
    ],
)
def test_json_that_is_asked_for_fits_its_schema(schema: dict[str, Any]) -> None:
    messages = (Message(role="user", content="Tea is hot. It is cheap."),)
    request = Request(model="demo/scripted", messages=messages, output_schema=schema, options={"seconds": 0})

    first, second = (asyncio.run(get("demo/scripted").answer(request, deaf)) for _ in range(2))

    assert first == second
    assert list(Checker(schema).failures(json.loads(first.message.content))) == []


def test_of_what_is_allowed_it_takes_the_first_and_its_texts_are_marked() -> None:
    schema = {"properties": {"verdict": {"enum": ["revise", "accept"]}, "why": {"type": "array", "items": {}}}}
    messages = (Message(role="user", content="Tea is hot. It is cheap."),)
    request = Request(model="demo/scripted", messages=messages, output_schema=schema, options={"seconds": 0})

    answer = json.loads(asyncio.run(get("demo/scripted").answer(request, deaf)).message.content)

    assert answer == {"verdict": "revise", "why": ["[demo] Tea is hot."]}
