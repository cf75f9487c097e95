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


def test_an_agent_made_of_a_prompt_is_saved_from_a_file_and_exported_as_the_same(manage, tmp_path):
    file = tmp_path / "guide.yaml"
    file.write_text("name: guide\nagent:\n  instructions: |\n    You guide.\n  tools: [demo.search]\n")

    assert manage("agents", "save", str(file), "--message", "First.") == "Saved version 1 of 'guide'.\n"

    file.write_text(manage("agents", "export", "guide"))
    assert manage("agents", "save", str(file)) == "Nothing has changed: version 1 of 'guide'.\n"
    exported = json.loads(manage("agents", "export", "guide", "--json"))
    assert exported == {"name": "guide", "agent": {"instructions": "You guide.\n", "tools": [{"tool": "demo.search"}]}}


def test_a_flat_file_is_taken_too(manage, tmp_path):
    file = tmp_path / "guide.json"
    file.write_text('{"name": "guide", "instructions": "You guide."}')

    assert json.loads(manage("agents", "save", str(file), "--json"))["agent"] == {"instructions": "You guide."}


@pytest.mark.parametrize(
    ("text", "message"),
    [("instructions: x", "no `name`"), ("- 1", "no `name`"), ("a: [", "not YAML"), ("name: guide\nmodle: x", "modle")],
)
def test_a_file_that_is_no_agent_is_explained(manage, tmp_path, text, message):
    file = tmp_path / "guide.yaml"
    file.write_text(text)

    with pytest.raises((DomainError, CommandError), match=message):
        manage("agents", "save", str(file))
