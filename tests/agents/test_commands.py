import json

import pytest
from django.core.management import CommandError, call_command

from apps.common.errors import DomainError


@pytest.fixture
def manage(capsys, alice):
    def manage(*arguments):
        call_command(*arguments)
        return capsys.readouterr().out

    return manage


def test_agents_are_listed_for_people_and_for_programs(manage):
    assert "text_processor" in manage("agents", "list")

    items = json.loads(manage("agents", "list", "--json", "--capability", "echo"))["items"]
    assert [item["name"] for item in items] == ["echo"]


def test_an_agent_is_shown(manage):
    assert json.loads(manage("agents", "show", "echo", "--json"))["kind"] == "builtin"


def test_an_agent_is_run(manage, tmp_path):
    assert json.loads(manage("agents", "run", "echo", "--input", '{"a": 1}')) == {"a": 1}

    (tmp_path / "input.json").write_text('{"b": 2}')
    assert json.loads(manage("agents", "run", "echo", "--input", f"@{tmp_path}/input.json")) == {"b": 2}


def test_a_config_is_given(manage):
    assert json.loads(manage("agents", "run", "echo", "--config", '{"message": "hi"}')) == {"message": "hi"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "ecco"], "Did you mean 'echo'"),
        (["run", "echo", "--input", "{"], "not JSON"),
        (["run", "echo", "--input", "@/does/not/exist"], "cannot be read"),
        (["run", "text_processor", "--input", "{}"], "Field required"),
    ],
)
def test_mistakes_are_explained(manage, arguments, message):
    with pytest.raises((DomainError, CommandError), match=message):
        manage("agents", *arguments)


def test_a_failed_task_is_a_failed_command(manage):
    with pytest.raises(CommandError, match=r"No result within 0\.1 s"):
        manage("agents", "run", "echo", "--input", '{"delay": 9}', "--timeout", "0.1")


def test_the_list_fits_a_wide_terminal(manage):
    assert max(map(len, manage("agents", "list").splitlines())) <= 150


def test_tools_are_listed_shown_and_invoked(manage):
    assert "http.request" in manage("tools", "list")
    assert json.loads(manage("tools", "show", "outbox.send", "--json"))["effect"] == "write"
    with pytest.raises(CommandError, match="Only https is allowed"):
        manage("tools", "invoke", "http.request", "--input", '{"url": "http://example.com"}')
