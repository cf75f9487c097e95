"""The agent that asks a language model, with models that say what the tests need."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.agents.context import LocalContext
from apps.agents.data_blocks import RULE, block
from apps.agents.runtime import run_agent
from apps.common.errors import Fatal
from apps.integrations import registry as tools
from apps.integrations.language_models import Message
from apps.integrations.language_models import registry as models
from apps.integrations.tools import tool
from tests.agents.parrot import Parrot, said, wants


@pytest.fixture
def shout() -> Iterator[str]:
    """A tool that fails when it is asked for nothing."""

    @tool(name="test.shout")
    def shout(text: str) -> str:
        """Says it louder."""
        if not text:
            raise Fatal("There is nothing to shout.")
        return text.upper()

    yield "test.shout"
    tools.unregister("test.shout")


def run(parrot: Parrot, task: Any = "Greet Ada", **config: Any) -> dict[str, Any]:
    models.register(parrot)
    try:
        given = task if isinstance(task, dict) else {"task": task}
        output: Any = run_agent("assistant", given, LocalContext(), config={"model": parrot.name, **config}).output
    finally:
        models.unregister(parrot.name)
    return output


def test_it_gives_what_the_model_says_and_what_it_took() -> None:
    assert run(Parrot(said("Hello, Ada"))) == {
        "text": "Hello, Ada", "model": "test/parrot", "is_demo": False, "turns": 1, "tokens": 15,
    }  # fmt: skip


def test_the_model_reads_the_instructions_the_task_and_what_was_found_before() -> None:
    parrot = Parrot(said("Yes"))

    run(parrot, {"task": "Judge", "context": ["A text", {"text": "A report"}, {"n": 1}]}, instructions="Be strict.")

    system, user = parrot.asked[0].messages
    assert system.content == f"Be strict.\n\n{RULE}"
    assert user.content == "\n\n".join(["Judge", block("A text"), block("A report"), block('{"n":1}')])


def test_a_tool_that_it_was_given_is_called_and_its_answer_told(shout: str) -> None:
    parrot = Parrot(wants(shout, text="ada"), said("Done"))

    output = run(parrot, tools=[shout])

    assert [offered.name for offered in parrot.asked[0].tools] == [shout]
    assert parrot.asked[1].messages[-1] == Message(role="tool", tool_call_id="1", content='"ADA"')
    assert (output["text"], output["turns"], output["tokens"]) == ("Done", 2, 30)


@pytest.mark.parametrize(
    ("given", "answer"),
    [([], "There is no tool 'test.shout' here."), (["test.shout"], "There is nothing to shout.")],
)
def test_what_a_tool_refuses_is_told_to_the_model(shout: str, given: list[str], answer: str) -> None:
    parrot = Parrot(wants(shout, text=""), said("Sorry"))

    assert run(parrot, tools=given)["text"] == "Sorry"
    assert answer in parrot.asked[1].messages[-1].content


def test_a_model_that_only_asks_for_tools_is_given_up(shout: str) -> None:
    with pytest.raises(Fatal) as raised:
        run(Parrot(wants(shout, text="x")), tools=[shout], most_turns=3)

    assert raised.value.code == "limit_turns"


def test_without_a_model_the_demo_model_answers() -> None:
    output: Any = run_agent(
        "assistant", {"task": "Plan a party"}, LocalContext(), config={"options": {"seconds": 0}}
    ).output

    assert output["is_demo"]
    assert output["text"].startswith("[demo]")
