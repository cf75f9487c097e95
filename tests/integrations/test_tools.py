import asyncio
import threading
from typing import Annotated
from uuid import uuid4

import pytest
from pydantic import BaseModel, Field

from apps.common.errors import Fatal, NotFound, Retryable
from apps.common.registry import DuplicateNameError
from apps.integrations import registry
from apps.integrations.services import ainvoke, invoke
from apps.integrations.tools import ToolContext, tool

CTX = ToolContext(organization_id=uuid4(), idempotency_key="key")


@pytest.fixture(autouse=True)
def forget_new_tools():
    before = {known.name for known in registry.all()}
    yield
    for known in list(registry.all()):
        if known.name not in before:
            registry.unregister(known.name)


def test_a_function_becomes_a_tool_and_stays_a_function():
    @tool
    def word_count(text: str) -> int:
        """Counts the words of a text."""
        return len(text.split())

    assert word_count("a b") == 2
    assert invoke("word_count", {"text": "a b c"}, CTX) == 3
    assert registry.get("word_count").description == "Counts the words of a text."


def test_the_schemas_come_from_the_annotations():
    class Place(BaseModel):
        city: str

    @tool(name="geo.find", effect="external_write")
    def find(address: str, limit: Annotated[int, Field(ge=1, description="How many.")] = 1) -> list[Place]:
        """Finds places."""
        return [Place(city=address)] * limit

    known = registry.get("geo.find")
    assert known.input_schema["required"] == ["address"]
    assert known.input_schema["additionalProperties"] is False
    assert known.input_schema["properties"]["limit"] == {
        "default": 1,
        "description": "How many.",
        "minimum": 1,
        "title": "Limit",
        "type": "integer",
    }
    assert known.output_schema["items"] == {"$ref": "#/$defs/Place"}
    assert known.effect == "external_write"
    assert invoke("geo.find", {"address": "Bern", "limit": 2}, CTX) == [{"city": "Bern"}, {"city": "Bern"}]


def test_a_parameter_may_have_the_name_of_a_pydantic_method():
    @tool
    def odd(json: str, copy: int = 1, model_dump: bool = False) -> list[object]:
        return [json, copy, model_dump]

    assert invoke("odd", {"json": "x"}, CTX) == ["x", 1, False]


def test_the_context_is_given_to_who_asks_for_it():
    @tool
    def whoami(ctx: ToolContext) -> str:
        return f"{ctx.organization_id}/{ctx.idempotency_key}"

    assert registry.get("whoami").input_schema["properties"] == {}
    assert invoke("whoami", None, CTX) == f"{CTX.organization_id}/key"


@pytest.mark.parametrize(
    ("given", "places"),
    [({}, ["/text"]), ({"text": 1}, ["/text"]), ({"text": "x", "txt": 1}, ["/txt"]), ([], [""]), ("x", [""])],
)
def test_wrong_input_is_a_final_error_with_every_place(given, places):
    @tool
    def shout(text: str) -> str:
        return text.upper()

    with pytest.raises(Fatal, match="The input of tool 'shout' is invalid") as caught:
        invoke("shout", given, CTX)

    assert caught.value.code == "invalid_input"
    assert [error.pointer for error in caught.value.errors] == places


def test_a_wrong_result_is_a_final_error():
    @tool
    def broken() -> int:
        return "many"  # type: ignore[return-value]

    with pytest.raises(Fatal) as caught:
        invoke("broken", {}, CTX)

    assert caught.value.code == "invalid_output"


def test_a_result_without_a_json_form_is_a_final_error():
    @tool
    def odd_object():
        return object()

    with pytest.raises(Fatal) as caught:
        invoke("odd_object", {}, CTX)

    assert caught.value.code == "invalid_output"


def test_an_unknown_tool_names_the_nearest():
    with pytest.raises(NotFound, match=r"There is no tool 'http\.requst'\. Did you mean 'http\.request'\?"):
        invoke("http.requst", {}, CTX)


def test_a_second_tool_of_one_name_names_both():
    def first() -> None: ...

    def second() -> None: ...

    tool(name="taken")(first)

    with pytest.raises(DuplicateNameError, match=r"Tool 'taken' is defined twice: by .*first and by .*second"):
        tool(name="taken")(second)


def test_registering_the_same_function_again_is_a_reload_and_no_error():
    def mine() -> int:
        return 1

    tool(name="mine")(mine)
    tool(name="mine")(mine)

    assert invoke("mine", {}, CTX) == 1


def test_an_async_tool_runs_on_the_shared_loop():
    @tool
    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    assert invoke("where", {}, CTX) == "orchestra-asyncio"


def test_a_sync_tool_runs_in_the_caller_s_thread():
    @tool
    def here() -> bool:
        return threading.current_thread() is caller

    caller = threading.current_thread()

    assert invoke("here", {}, CTX) is True


@pytest.mark.parametrize("limit", [{"timeout": 0.1}, {}])
def test_a_slow_async_tool_may_be_retried(limit):
    @tool(timeout=0.1 if not limit else 60)
    async def slow() -> None:
        await asyncio.sleep(3600)

    with pytest.raises(Retryable, match=r"Tool 'slow' gave no result within 0\.1 s") as caught:
        invoke("slow", {}, CTX, **limit)

    assert caught.value.code == "timeout"


async def test_async_code_awaits_tools_of_both_kinds():
    @tool
    def sync_one() -> str:
        return threading.current_thread().name

    @tool
    async def async_one() -> str:
        return threading.current_thread().name

    here = threading.current_thread().name

    assert await ainvoke("sync_one", {}, CTX) != here
    assert await ainvoke("async_one", {}, CTX) == here


async def test_an_awaited_slow_tool_may_be_retried():
    @tool(timeout=0.05)
    async def slow() -> None:
        await asyncio.sleep(60)

    with pytest.raises(Retryable):
        await ainvoke("slow", {}, CTX)


@pytest.mark.parametrize(
    ("options", "repeat"),
    [
        ({}, "free"),
        ({"effect": "write"}, "ask"),
        ({"effect": "external_write"}, "ask"),
        ({"effect": "external_write", "repeat": "keyed"}, "keyed"),
        ({"effect": "write", "repeat": lambda arguments: "free" if arguments["dry"] else "ask"}, "free"),
    ],
)
def test_a_tool_says_what_may_be_done_about_a_call_that_nobody_knows_about(options, repeat):
    @tool(**options)
    def act(dry: bool = True) -> None: ...

    known = registry.get("act")
    assert known.repeat_of(known.arguments({})) == repeat
    assert known.repeat_shown == ("by_input" if callable(options.get("repeat")) else repeat)


@pytest.mark.parametrize(
    ("method", "repeat"),
    [("GET", "free"), ("HEAD", "free"), ("PUT", "keyed"), ("DELETE", "keyed"), ("POST", "ask"), ("PATCH", "ask")],
)
def test_an_http_request_may_be_repeated_as_its_method_allows(method, repeat):
    known = registry.get("http.request")

    assert known.repeat_of(known.arguments({"url": "https://example.com", "method": method})) == repeat


async def test_a_tool_that_gave_no_result_in_time_may_have_taken_effect():
    @tool(timeout=0.05)
    async def slow() -> None:
        await asyncio.sleep(60)

    with pytest.raises(Retryable) as caught:
        await ainvoke("slow", {}, CTX)

    assert caught.value.in_doubt
