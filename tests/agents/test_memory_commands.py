"""The command `memory`."""

import json

import pytest
from django.core.management import CommandError, call_command

from apps.agents.context import LocalContext
from apps.common.errors import NotFound
from apps.integrations.language_models import Message


@pytest.fixture
def manage(capsys, organization):
    ctx = LocalContext(organization.pk, agent="helper", session="ada")
    ctx.session.add(Message(role="user", content="Hello"), Message(role="assistant", content="Hello, Ada"))
    ctx.remember("Ada wants invoices by post.")
    LocalContext(organization.pk, agent="helper").remember("Berlin is delivered to on Tuesdays.")

    def manage(*arguments):
        call_command("memory", *arguments)
        return capsys.readouterr().out

    return manage


def items(written):
    return json.loads(written)["items"]


def test_memories_are_listed_for_people_and_for_programs(manage):
    assert "Ada wants invoices by post." in manage("list")
    assert [item["text"] for item in items(manage("list", "--session", "ada", "--json"))] == [
        "Ada wants invoices by post."
    ]
    assert items(manage("list", "--agent", "other", "--json")) == []


def test_memories_are_searched(manage):
    (found,) = items(manage("search", "invoices for Ada", "--json"))

    assert found["score"] > 0
    assert "SCORE" in manage("search", "invoices for Ada")


def test_sessions_are_listed_and_shown(manage):
    assert [item["key"] for item in items(manage("sessions", "--json"))] == ["ada"]
    assert manage("show", "ada") == "1 user: Hello\n2 helper: Hello, Ada\n"


@pytest.mark.parametrize(
    ("named", "left"),
    [
        (("--session", "ada"), ["Berlin is delivered to on Tuesdays."]),
        (("--agent", "helper"), []),
        (("--agent", "x"), 2),
    ],
)
def test_what_is_named_is_erased(manage, named, left):
    manage("erase", *named, "--yes")

    texts = [item["text"] for item in items(manage("list", "--json"))]
    assert texts == left or len(texts) == left


def test_one_memory_is_erased(manage):
    newest, _ = items(manage("list", "--json"))

    assert items(manage("erase", "--memory", newest["id"], "--yes", "--json")) == [{"memories": 1, "sessions": 0}]
    assert len(items(manage("list", "--json"))) == 1


@pytest.mark.parametrize("named", [(), ("--agent", ""), ("--agent", "helper", "--session", "ada")])
def test_nothing_is_erased_for_want_of_a_word(manage, named):
    with pytest.raises(CommandError, match="exactly one"):
        manage("erase", *named, "--yes")

    assert len(items(manage("list", "--json"))) == 2


def test_a_session_that_is_not_there(manage):
    with pytest.raises(NotFound):
        manage("show", "nobody")
