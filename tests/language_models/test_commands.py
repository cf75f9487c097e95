"""Models, budgets, cost and the vault on the command line."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django_scopes import scope

from apps.accounts.models import Organization
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
