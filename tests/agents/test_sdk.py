"""The promises of orchestra.sdk to the author of a plugin."""

import asyncio
import inspect
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from uuid import UUID

import pytest

from apps.agents import registry
from apps.agents.runtime import Result, run_agent
from apps.common.registry import DuplicateNameError
from apps.common.validation import InvalidInput
from orchestra import sdk
from orchestra.sdk import Agent, BaseModel, BaseNode, Cancelled, Context, Fatal, LocalContext, Retryable, Route, tool


@pytest.fixture
def ctx():
    return LocalContext()


def define(source):
    """Run the source of a plugin as its module would."""
    names = {"__name__": "a_plugin", **{name: getattr(sdk, name) for name in sdk.__all__}}
    exec(textwrap.dedent(source), names)  # noqa: S102 - the source stands in this repository
    return names


def example_in(documented):
    """Give the indented example of a docstring."""
    lines = inspect.getdoc(documented).splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith(("    ", "\t")))
    last = max(index for index, line in enumerate(lines) if line.startswith("    "))
    return "\n".join(line for line in lines[first : last + 1] if line.startswith("    ") or not line.strip())


# Examples


def test_the_example_of_agent_runs(ctx):
    define(example_in(Agent))

    assert run_agent("greeter", {"who": "Ana"}, ctx).output == {"text": "Hello, Ana"}
    assert run_agent("greeter", {"who": "Ana"}, ctx, config={"greeting": "Salve"}).output == {"text": "Salve, Ana"}
    assert registry.get("greeter").description == "Greets somebody."
    assert registry.get("greeter").kind == "plugin"


def test_the_example_of_base_node_runs(ctx):
    define(example_in(BaseNode))

    assert run_agent("RouteByAge", {"age": 7}, ctx).route == "GreetChild"
    assert registry.get("RouteByAge").targets == ("GreetChild", "GreetAdult")


def test_the_example_of_tool_runs(ctx):
    define(example_in(tool))

    assert ctx.call_tool("word_count", {"text": "a b c"}) == 3


# Life


def test_prep_exec_and_post_run_in_order_and_share_the_object(ctx):
    class Counter(Agent):
        name = "counter"

        def prep(self, task, ctx):
            self.seen = ["prep"]
            return {**task, "more": 1}

        def exec(self, task, ctx):
            self.seen.append("exec")
            return task

        def post(self, task, output, ctx):
            return {"seen": [*self.seen, "post"], "output": output}

    assert run_agent("counter", {"a": 1}, ctx).output == {
        "seen": ["prep", "exec", "post"],
        "output": {"a": 1, "more": 1},
    }


def test_sync_and_async_methods_mix(ctx):
    class Mixed(Agent):
        name = "mixed"

        async def prep(self, task, ctx):
            await asyncio.sleep(0)
            return task + 1

        def exec(self, task, ctx):
            return task * 10

        async def post(self, task, output, ctx):
            return output + 0.5

    assert run_agent("mixed", 1, ctx).output == 20.5


def test_each_run_has_a_new_object(ctx):
    class Stateful(Agent):
        name = "stateful"
        count = 0

        def exec(self, task, ctx):
            self.count += 1
            return self.count

    assert [run_agent("stateful", None, ctx).output for _ in range(2)] == [1, 1]


def test_running_an_agent_costs_few_calls(ctx):
    run_agent("echo", {"a": 1}, ctx)

    assert calls_of(lambda: run_agent("echo", {"a": 1}, ctx)) < 150


def calls_of(work):
    """How many functions it calls in this thread: what it costs, as seen by any machine."""
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(frame) if event in {"call", "c_call"} else None)
    try:
        work()
    finally:
        sys.setprofile(None)
    return len(calls)


# Input, output, config


class Place(BaseModel):
    city: str
    size: int = 1


def test_wrong_input_names_every_field(ctx):
    class Visitor(Agent):
        name = "visitor"
        Input = Place

        def exec(self, task, ctx):
            return task.city

    with pytest.raises(
        InvalidInput, match=r"The input of agent 'visitor' is invalid: 'city': Field required; 'size'"
    ) as caught:
        run_agent("visitor", {"size": "big"}, ctx)

    assert caught.value.code == "invalid_input"
    assert isinstance(caught.value, Fatal)
    assert [error.pointer for error in caught.value.errors] == ["/city", "/size"]


def test_wrong_config_is_told(ctx):
    with pytest.raises(InvalidInput, match=r"agent 'echo' \(config\)"):
        run_agent("echo", None, ctx, config={"delay": "long"})


@pytest.mark.parametrize("returned", [{"size": 1}, "Bern", None, object()])
def test_wrong_output_is_a_final_error(ctx, returned):
    class Finder(Agent):
        name = "finder"
        Output = Place

        def exec(self, task, ctx):
            return returned

    with pytest.raises(Fatal) as caught:
        run_agent("finder", None, ctx)

    assert caught.value.code == "invalid_output"


@pytest.mark.parametrize("returned", [{"city": "Bern"}, Place(city="Bern")])
def test_a_dict_becomes_the_declared_output(ctx, returned):
    class Finder(Agent):
        name = "finder"
        Output = Place

        def exec(self, task, ctx):
            return returned

    assert run_agent("finder", None, ctx).output == {"city": "Bern", "size": 1}


def test_without_a_declared_output_anything_with_a_json_form_will_do(ctx):
    class Anything(Agent):
        name = "anything"

        def exec(self, task, ctx):
            return {"at": datetime(2026, 1, 1, tzinfo=UTC), "id": UUID(int=1), "place": Place(city="Bern"), "set": {1}}

    assert run_agent("anything", None, ctx).output == {
        "at": "2026-01-01T00:00:00Z",
        "id": "00000000-0000-0000-0000-000000000001",
        "place": {"city": "Bern", "size": 1},
        "set": [1],
    }


def test_what_has_no_json_form_is_a_final_error(ctx):
    class Odd(Agent):
        name = "odd"

        def exec(self, task, ctx):
            return {"thing": object()}

    with pytest.raises(Fatal) as caught:
        run_agent("odd", None, ctx)

    assert caught.value.code == "invalid_output"


# Routes


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        (Route("up"), Result({}, "up")),
        (Route("up", {"why": "x"}), Result({"why": "x"}, "up")),
        (Route("up", Place(city="Bern")), Result({"city": "Bern", "size": 1}, "up")),
        ({"route": "up", "a": 1}, Result({"route": "up", "a": 1}, "up")),
        ({"route": 5}, Result({"route": 5}, None)),
        ("up", Result("up", None)),
    ],
)
def test_a_route_is_returned_or_a_field_of_the_output(ctx, returned, result):
    class Router(Agent):
        name = "router"

        def exec(self, task, ctx):
            return returned

    assert run_agent("router", None, ctx) == result


def test_a_route_without_output_needs_no_declared_field(ctx):
    class Router(Agent):
        name = "router"
        Output = Place

        def exec(self, task, ctx):
            return Route("up")

    assert run_agent("router", None, ctx) == Result({}, "up")


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        (None, Result({})),
        ({"a": 1}, Result({"a": 1})),
        ("Next", Result({}, "Next")),
        (Route("Next", {"a": 1}), Result({"a": 1}, "Next")),
    ],
)
def test_a_node_returns_a_dict_a_route_or_a_name(ctx, returned, result):
    class Step(BaseNode):
        def run(self, context, ctx):
            return returned

    class AsyncStep(BaseNode):
        async def run(self, context, ctx):
            await asyncio.sleep(0)
            return returned

    assert run_agent("Step", {"x": 1}, ctx) == result
    assert run_agent("AsyncStep", None, ctx) == result


def test_a_node_inherits_its_run(ctx):
    class First(BaseNode):
        def run(self, context, ctx):
            return {"name": self.name}

    class Second(First):
        pass

    assert run_agent("Second", {}, ctx).output == {"name": "Second"}
    assert run_agent("First", {}, ctx).output == {"name": "First"}


# Definitions


def test_a_second_agent_of_one_name_names_both():
    class One(Agent):
        name = "same"

        def exec(self, task, ctx): ...

    with pytest.raises(DuplicateNameError, match=r"Agent 'same' is defined twice: by .*One and by .*Two"):

        class Two(Agent):
            name = "same"

            def exec(self, task, ctx): ...


def test_a_base_class_without_a_name_is_not_registered():
    class Base(Agent):
        def exec(self, task, ctx): ...

    class Child(Base):
        name = "child"

    assert registry.get("child").agent is Child


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "idle"}, "has no exec method"),
        ({"name": "has space", "exec": print}, "must be letters"),
        ({"name": "", "exec": print}, "must be letters"),
        ({"name": "listless", "exec": print, "capabilities": "one"}, "capabilities is a list"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_at_once(body, message):
    with pytest.raises(TypeError, match=message):
        type("Broken", (Agent,), body)


def test_a_node_without_run_is_refused_at_once():
    with pytest.raises(TypeError, match="has no run method"):
        type("Broken", (BaseNode,), {})


def test_plugins_come_before_builtins_for_a_capability():
    class Better(Agent):
        name = "z_better"
        capabilities = ("sentiment_analysis",)

        def exec(self, task, ctx): ...

    Better.__module__ = "a_plugin"

    assert [found.name for found in registry.by_capability("sentiment_analysis")] == ["text_processor", "z_better"]
    assert registry.select("sentiment_analysis").name == "z_better"


# Errors and cancellation


@pytest.mark.parametrize("error", [Retryable("x", retry_after=3), Fatal("x", code="y"), ValueError("x")])
def test_what_an_agent_raises_comes_through(ctx, error):
    class Failing(Agent):
        name = "failing"

        def exec(self, task, ctx):
            raise error

    with pytest.raises(type(error)) as caught:
        run_agent("failing", None, ctx)

    assert caught.value is error


def test_an_async_agent_is_cancelled_from_outside():
    ctx = LocalContext(cancelled=lambda: True)

    with pytest.raises(Cancelled):
        run_agent("echo", {"delay": 3600}, ctx)


def test_a_sync_agent_asks_whether_it_is_cancelled(ctx):
    class Looping(Agent):
        name = "looping"

        def exec(self, task, ctx: Context):
            ctx.cancel()
            ctx.check_cancelled()

    with pytest.raises(Cancelled):
        run_agent("looping", None, ctx)


# Context


def test_every_tool_call_has_a_key_of_its_own(ctx):
    @tool
    def key(ctx: sdk.ToolContext) -> str:
        return ctx.idempotency_key

    class Caller(Agent):
        name = "caller"

        async def exec(self, task, ctx):
            return [ctx.idempotency_key(), await ctx.acall_tool("key"), await ctx.acall_tool("key")]

    own, first, second = run_agent("caller", None, ctx).output

    assert (first, second) == (f"{own}:1", f"{own}:2")


def test_progress_and_steps_of_a_local_context(ctx):
    ctx.progress(0.5, "half")
    ctx.progress(None)

    assert ctx.step("add", lambda a, b: a + b, 1, 2) == 3
    assert ctx.reports == [(0.5, "half"), (None, "")]


def test_a_blocking_tool_call_in_async_code_is_refused_and_not_a_deadlock(ctx):
    @tool
    async def slow() -> None: ...

    class Mistaken(Agent):
        name = "mistaken"

        async def exec(self, task, ctx):
            return ctx.call_tool("slow")

    with pytest.raises(RuntimeError, match="acall_tool"):
        run_agent("mistaken", None, ctx)


# Import


def test_the_sdk_is_imported_without_django_settings_and_without_heavy_libraries():
    heavy = "numpy, vaderSentiment, py3langid, celery, litellm, httpx, django.db.models.base"
    source = f"""
        import sys
        import orchestra.sdk
        loaded = [name for name in "{heavy}".split(", ") if name in sys.modules]
        assert not loaded, loaded
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, check=False, env={"PATH": ""}
    )

    assert done.returncode == 0, done.stderr
