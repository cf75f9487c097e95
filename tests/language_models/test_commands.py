"""Models, budgets, cost and the vault on the command line."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django_scopes import scope

from apps.accounts.models import Organization
from apps.common.errors import BadRequest, Invalid, NotFound
from apps.integrations.models import ModelSetting, Secret
from apps.integrations.services import secrets
from apps.observability.models import Budget
from orchestra.doctor import Status, examine
from tests.language_models import spent
from tests.language_models.chat_server import Answer, ChatServer
from tests.language_models.conftest import KEY, Desk


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command, and give what it printed."""

    def run(*words: str) -> str:
        call_command(*words)
        return capsys.readouterr().out

    return run


def test_models_are_listed_with_prices_and_the_default(organization: Organization, said: Any) -> None:
    spent.fill(organization)

    lines = {line.split()[0]: line.split() for line in said("models", "list").splitlines()}

    assert lines["smart"][2:5] == ["yes", "$0.15", "$0.60"]
    assert lines["quick-smart"][2:4] == ["?", "?"]
    assert "demo/scripted" in lines
    assert [one["name"] for one in json.loads(said("models", "list", "--json"))["items"] if one["is_default"]] == [
        "smart"
    ]


def test_a_model_is_tested(desk: Desk, server: ChatServer, said: Any) -> None:
    desk.setting(desk.provider(server), input_price=1, output_price=10)

    assert said("models", "test", "smart") == "Hello\n"
    assert json.loads(said("models", "test", "smart", "--json"))["cost_usd"] == "0.000081"
    server.answer = lambda _: Answer(status=401, error={"error": {"message": "No"}})
    with pytest.raises(CommandError, match="key_refused"):
        said("models", "test", "local/m")
    assert [one.caller for one in desk.usage()] == ["cli"] * 3


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What comes over standard input."""

    def type_in(text: str) -> None:
        monkeypatch.setattr("sys.stdin", StringIO(text))

    type_in("")
    return type_in


@pytest.fixture
def own(server: ChatServer, settings: Any) -> list[str]:
    """The words for a provider that answers."""
    settings.ORCHESTRA_EGRESS_ALLOW |= {server.address}
    return ["models", "add", "local", "--kind", "openai_compatible", "--base-url", server.url]


def test_a_provider_is_added_with_its_default_model_when_that_answers(
    desk: Desk, own: list[str], said: Any, typed: Any
) -> None:
    lines = said(*own, "--default", "llama3.2").splitlines()

    assert lines == ["Hello", "The provider 'local' is set up, and 'llama3.2' is the default."]
    assert [one["name"] for one in json.loads(said("models", "list", "--json"))["items"] if one["is_default"]] == [
        "llama3.2"
    ]
    assert [one.caller for one in desk.usage()] == ["cli"]


def test_a_key_comes_from_the_environment_or_from_standard_input_and_is_not_printed(
    desk: Desk, own: list[str], server: ChatServer, said: Any, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    typed("sk-typed-0123456789wxyz\n")

    named = said(*own, "--key-env", "MY_KEY", "--default", "m", "--json")
    piped = said("models", "add", "anthropic", "--json")
    listed = said("models", "providers")

    assert server.keys == [f"Bearer {KEY}"]
    assert json.loads(named)["provider"]["hint"] == "****cdef"
    assert json.loads(named)["trial"]["text"] == "Hello"
    assert json.loads(piped)["provider"]["hint"] == "****wxyz"
    assert json.loads(piped)["model"] is None
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [
        ["anthropic", "anthropic"],
        ["local", "openai_compatible"],
    ]
    assert KEY not in named + listed
    assert "sk-typed" not in piped + listed


def test_a_key_that_is_missing_or_refused_keeps_nothing(
    desk: Desk, own: list[str], server: ChatServer, said: Any, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda _: Answer(status=401, error={"error": {"message": "No"}})
    monkeypatch.setenv("MY_KEY", KEY)

    with pytest.raises(BadRequest, match="NOT_SET"):
        said(*own, "--key-env", "NOT_SET")
    with pytest.raises(Invalid, match="OpenAI needs a key"):
        said("models", "add", "openai")
    with pytest.raises(Invalid, match="does not take this key"):
        said(*own, "--key-env", "MY_KEY", "--default", "m")

    assert json.loads(said("models", "providers", "--json")) == {"items": []}


def test_a_good_key_stays_and_the_same_again_with_another_model_goes_on(
    desk: Desk, own: list[str], server: ChatServer, said: Any, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.answer = lambda asked: Answer() if asked["model"] == "m" else Answer(status=404, error={"error": "No"})
    words = [*own, "--key-env", "MY_KEY", "--default"]

    with pytest.raises(CommandError, match=r"unknown_model.*The provider 'local' is kept"):
        said(*words, "n")
    said(*words, "m")

    assert [one["models"] for one in json.loads(said("models", "providers", "--json"))["items"]] == [["m"]]


def test_a_default_may_be_set_untested(
    own: list[str], server: ChatServer, said: Any, typed: Any, in_scope: Any
) -> None:
    assert "'m' is the default." in said(*own, "--default", "m", "--untested")
    assert server.asked == []


def test_a_provider_that_is_there_gets_another_default_and_keeps_its_key(
    desk: Desk, own: list[str], server: ChatServer, said: Any, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    said(*own, "--key-env", "MY_KEY")

    told = said("models", "add", "local", "--default", "tiny-1").splitlines()
    unasked = said("models", "add", "local", "--default", "tiny-2", "--untested")

    assert told == ["Hello", "The provider 'local' is set up, and 'tiny-1' is the default."]
    assert "'tiny-2' is the default." in unasked
    assert server.keys == [f"Bearer {KEY}"]
    (shown,) = json.loads(said("models", "providers", "--json"))["items"]
    assert (shown["hint"], shown["models"]) == ("****cdef", ["tiny-1", "tiny-2"])
    with pytest.raises(CommandError, match=r"set up already: --default MODEL"):
        said("models", "add", "local")
    with pytest.raises(CommandError, match=r"Settings, Models changes its address"):
        said("models", "add", "local", "--base-url", "http://127.0.0.1:1/v1")


def test_a_provider_that_is_there_gets_another_key_which_is_not_kept_where_it_is_refused(
    desk: Desk, own: list[str], server: ChatServer, said: Any, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(*own, "--default", "m")
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("BAD", "sk-bad-0123456789")
    answers = {f"Bearer {KEY}": Answer()}
    server.answer = lambda _: answers.get(server.keys[-1], Answer(status=401, error={"error": {"message": "No."}}))

    said("models", "add", "local", "--default", "m", "--key-env", "MY_KEY")
    with pytest.raises(Invalid, match=r"does not take this key.* 401: No\.$"):
        said("models", "add", "local", "--default", "n", "--key-env", "BAD")

    assert [line.split() for line in said("models", "providers").splitlines()[1:]] == [
        ["local", "openai_compatible", server.url, "****cdef", "m"]
    ]


def test_the_default_is_named_and_said_to_go(
    desk: Desk, server: ChatServer, said: Any, typed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.setting(desk.provider(server))
    default = ["models", "default"]

    said(*default, "local/other", "--untested")
    assert [one["name"] for one in json.loads(said("models", "list", "--json"))["items"] if one["is_default"]] == [
        "other"
    ]
    assert said(*default, "smart").split() == ["default", "smart", "served", "by", "local/m"]
    with pytest.raises(NotFound, match="'smart'"):
        said(*default, "smrt")
    server.answer = lambda _: Answer(status=404, error={"error": "No"})
    with pytest.raises(CommandError, match="unknown_model"):
        said(*default, "other")

    said("models", "providers")
    call_command("models", "remove", "other", "--model", "--yes")
    assert "ask demo/scripted" not in capsys.readouterr().err
    call_command("models", "remove", "smart", "--model", "--yes")
    assert "agents that name no model ask demo/scripted" in capsys.readouterr().err
    said("models", "list")
    assert [line.split()[-1] for line in said("models", "providers").splitlines()[1:]] == ["-"]


def test_a_model_or_a_provider_with_its_key_is_removed(
    desk: Desk, server: ChatServer, organization: Organization, said: Any, typed: Any
) -> None:
    provider = desk.provider(server)
    desk.setting(provider)
    desk.setting(provider, "quick")

    with pytest.raises(NotFound, match="add --model"):
        said("models", "remove", "quick", "--yes")
    with pytest.raises(CommandError, match="Add --yes"):
        said("models", "remove", "local")
    said("models", "remove", "quick", "--model", "--yes")
    (left,) = json.loads(said("models", "providers", "--json"))["items"]
    said("models", "remove", "local", "--yes")

    assert left["models"] == ["smart"]
    with scope(organization=organization):
        assert not Secret.objects.exists()
        assert not ModelSetting.objects.exists()


def test_another_organization_has_none_of_it(charlie: Any, organization: Organization, said: Any, typed: Any) -> None:
    spent.fill(organization)
    elsewhere = ["--organization", charlie.organization.slug]

    assert json.loads(said("models", "providers", "--json", *elsewhere)) == {"items": []}
    with pytest.raises(NotFound):
        said("models", "remove", "smart", "--model", "--yes", *elsewhere)
    with pytest.raises(NotFound):
        said("models", "default", "smart", "--untested", *elsewhere)


def test_budgets_are_listed_with_what_is_left(organization: Organization, said: Any) -> None:
    with scope(organization=organization):
        Budget.objects.create(organization=organization, name="cap", scope="run", limit_micro_usd=1_500_000)

    assert said("budgets", "list").splitlines()[1].split() == [
        "cap", "run", "each", "total", "$1.50", "$0.00", "$0.00", "$1.50", "ask",
    ]  # fmt: skip
    assert json.loads(said("budgets", "list", "--json"))["items"][0]["limit_usd"] == "1.50"


def test_cost_is_summed_up_for_a_time(organization: Organization, said: Any) -> None:
    spent.call(organization, cost=1_250_000)
    spent.call(organization, cost=50, model="quick")
    spent.call(organization, cost=9, ago=timedelta(days=8).total_seconds())

    lines = said("cost", "report", "--by", "model", "--since", "7d").splitlines()

    assert [line.split()[:3] for line in lines[1:]] == [
        ["smart", "$1.25", "1"],
        ["quick", "$0.00005", "1"],
        ["total", "$1.25005", "2"],
    ]
    assert json.loads(said("cost", "report", "--since", "4w", "--json"))["total"]["calls"] == 3
    spent.call(organization, model="gone", outcome="lost")
    for _ in range(2):
        spent.call(organization, model="gone", outcome="failed")
    spent.call(organization, model="free", is_priced=False, cost=0)
    assert "free   price unknown" in said("cost", "report", "--since", "7d")
    assert said("cost", "report", "--since", "7d").splitlines()[0].split()[-2:] == ["FAILED", "LOST"]
    assert said("cost", "report", "--since", "7d").splitlines()[-1].split()[-2:] == ["2", "1"]
    with pytest.raises(CommandError, match="such as 7d"):
        said("cost", "report", "--since", "soon")


def places(said: Any) -> list[list[str]]:
    return [line.split()[1:] for line in said("vault", "status").splitlines()[1:]]


def test_a_new_master_key_takes_over_and_the_old_one_may_go(
    organization: Organization, said: Any, settings: Any
) -> None:
    old, new = "an old long random text", "a new long random text"
    settings.ORCHESTRA_MASTER_KEYS = [old]
    with scope(organization=organization):
        secret = secrets.keep(organization.pk, KEY)

    settings.ORCHESTRA_MASTER_KEYS = [new, old]
    assert [line.split()[1:] for line in said("vault", "status").splitlines()[1:]] == [
        ["newest", "0"],
        ["older", "(1)", "1"],
    ]
    assert json.loads(said("vault", "rotate", "--json")) == {"wrapped_anew": 1}
    settings.ORCHESTRA_MASTER_KEYS = [new]

    assert places(said) == [["newest", "1"]]
    with scope(organization=organization):
        assert secrets.opened(secret) == KEY


def test_a_master_key_that_is_gone_is_found_before_a_run_finds_it(
    organization: Organization, said: Any, settings: Any
) -> None:
    settings.ORCHESTRA_MASTER_KEYS = ["an old long random text"]
    with scope(organization=organization):
        secrets.keep(organization.pk, KEY)
    settings.ORCHESTRA_MASTER_KEYS = ["another long random text"]

    with pytest.raises(CommandError, match="not among ORCHESTRA_MASTER_KEYS"):
        said("vault", "status")
    (finding,) = examine(["models"])
    assert (finding.status, "ORCHESTRA_MASTER_KEYS" in (finding.fix or "")) == (Status.FAIL, True)


def test_doctor_says_whether_a_model_is_set_up(organization: Organization) -> None:
    (before,) = examine(["models"])
    spent.fill(organization)
    (after,) = examine(["models"])

    assert "agents ask the demo model" in before.text
    assert after.text == "2 providers, 1 default model"
