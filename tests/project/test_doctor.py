"""`doctor`: what it finds, and what it tells to do."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from apps.agents import discovery
from apps.workflows.models import Worker
from orchestra.doctor import CHECKS, Finding, Status, examine

pytestmark = pytest.mark.django_db


def found(check: str) -> Finding:
    (finding,) = examine([check])
    return finding


def worker(**facts: Any) -> Worker:
    return Worker.objects.create(
        **{"name": "worker1", "host": "here", "pid": 7, "lock_key": 1, "slots": 50, "version": "0.1.0"} | facts
    )


@pytest.fixture
def plugin_failure() -> Iterator[None]:
    discovery.failures.append(discovery.Failure("shop.tools", "setting ORCHESTRA_PLUGINS", "ImportError: no shop"))
    yield
    discovery.failures.clear()


def test_the_database_of_a_fresh_installation_is_fine() -> None:
    finding = found("postgres")

    assert finding.status is Status.OK
    assert finding.text.startswith("18.")
    assert "migrations up to date" in finding.text


def test_the_redis_of_a_fresh_installation_is_fine(settings: LazySettings, redis_url: str) -> None:
    settings.REDIS_URL = redis_url

    finding = found("redis")

    assert finding.status is Status.OK
    assert finding.text.startswith("Valkey 9")
    assert finding.text.endswith("noeviction")


def test_a_dead_redis_is_told_without_its_password(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://:secret@127.0.0.1:1/0"

    finding = found("redis")

    assert (finding.status, finding.fix) == (Status.FAIL, "bin/up")
    assert "127.0.0.1:1" in finding.text
    assert "secret" not in finding.text


def test_without_a_worker_runs_stay_queued() -> None:
    finding = found("workers")

    assert (finding.status, finding.fix) == (Status.FAIL, "bin/up")


def test_a_worker_that_beats_is_alive() -> None:
    worker()

    finding = found("workers")

    assert (finding.status, finding.text) == (Status.OK, "1 alive: worker1 (pid 7 on here)")


@pytest.mark.parametrize("facts", [{"stopped_at": Now()}, {"heartbeat_at": Now() - timedelta(minutes=5)}])
def test_a_worker_that_stopped_or_fell_silent_is_not(facts: dict[str, Any]) -> None:
    worker(**facts)

    assert found("workers").status is Status.FAIL


def test_somebody_has_to_lead_the_recovery() -> None:
    worker()
    assert found("recovery").status is Status.FAIL

    worker(name="worker2", lock_key=2, leads_recovery=True)

    assert found("recovery").text == "led by worker2"


@pytest.mark.usefixtures("plugin_failure")
def test_a_plugin_that_does_not_load_is_named_with_its_reason() -> None:
    finding = found("plugins")

    assert finding.status is Status.FAIL
    assert finding.text == "shop.tools (from setting ORCHESTRA_PLUGINS): ImportError: no shop"


def test_json_has_every_check_and_a_failure_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        call_command("doctor", "--json")

    answer = json.loads(capsys.readouterr().out)
    assert end.value.code == 1
    assert not answer["ok"]
    assert [check["name"] for check in answer["checks"]] == list(CHECKS)


def test_only_makes_the_checks_that_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("doctor", "--only", "python,disk")

    assert " ok    python" in capsys.readouterr().out


def test_an_unknown_check_is_a_usage_error() -> None:
    with pytest.raises(CommandError, match="choose from python") as error:
        call_command("doctor", "--only", "pyhton")

    assert error.value.returncode == 2
