"""What the run page shows of a language model's part in a run."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.common.errors import Retryable
from apps.integrations import registry as tools
from apps.integrations.language_models import registry as models
from apps.integrations.tools import tool
from tests.agents.parrot import Parrot, said, wants
from tests.engine.documents import workflow

ASKS = {
    "type": "agent",
    "agent": "assistant",
    "model": "demo/scripted",
    "config": {
        "instructions": "You research.",
        "tools": ["demo.search"],
        "options": {"seconds": 0, "failures": 1},
    },
    "retry": {"attempts": 2, "delay": 0},
    "input": {"task": "Research the market for heat pumps"},
}


@pytest.fixture
def flaky() -> Iterator[str]:
    """A tool that fails at its first call."""
    calls = []

    @tool(name="test.flaky")
    def flaky(text: str) -> str:
        """Fails once."""
        calls.append(text)
        if len(calls) == 1:
            raise Retryable("Not yet.")
        return text

    yield "test.flaky"
    tools.unregister("test.flaky")


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    """A model that wants the tool, and is done then."""
    parrot = Parrot(wants("test.flaky", text="x"), said("Done"))
    models.register(parrot)
    yield parrot
    models.unregister(parrot.name)


@pytest.fixture
def owner(alice) -> Client:
    client = Client()
    client.force_login(alice.user)
    return client


def tab(client: Client, run: Any, name: str, node: str = "ask") -> str:
    answer = client.get(f"/runs/{run.pk}/inspector?node={node}&tab={name}", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_model_tab_has_what_was_asked_called_and_answered(room, owner):
    run = room.finish(workflow({"ask": ASKS}))

    html = tab(owner, run, "model")

    assert room.output(run)["ask"]["text"].startswith("[demo] Sales of heat pumps")
    for words in ("demo/scripted", "demo model", "You research.", "Research the market", "demo.search", "[demo] Sales"):
        assert words in html, words
    assert "2 answers" in html
    assert "3 calls" in html
    assert "1 without an answer" in html
    assert "$0" in html


def test_an_attempt_that_failed_on_purpose_is_one_of_two(room, owner):
    run = room.finish(workflow({"ask": ASKS}))

    html = tab(owner, run, "attempts")

    assert "Attempt 2" in html
    assert "this attempt fails on purpose" in html


def test_a_node_that_asked_no_model_has_no_such_tab(room, owner):
    run = room.finish(workflow({"ask": {"type": "agent", "agent": "echo", "input": 1}}))

    assert "tab=model" not in tab(owner, run, "model")


def test_a_model_that_nobody_has_is_told_with_the_nearest(room):
    run = room.finish(workflow({"ask": {**ASKS, "model": "demo/scriptd"}}))

    assert run.status == "failed"
    assert "Did you mean 'demo/scripted'" in run.error["message"]


def test_an_answer_is_asked_for_once_however_often_the_node_is_tried(room, parrot, flaky):
    asks = {**ASKS, "model": parrot.name, "config": {"tools": [flaky]}}

    run = room.finish(workflow({"ask": asks}))

    assert room.output(run)["ask"]["text"] == "Done"
    assert room.node(run.pk, "ask").attempt == 2, "the tool failed once, and with it the attempt"
    assert len(parrot.asked) == 2
