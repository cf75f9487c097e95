"""Whether the product lives, and whether it can work."""

import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.common import redis
from apps.workflows.api import health
from apps.workflows.models import Worker
from apps.workflows.store.database import TRANSIENT
from tests.workflows.engine_room import EngineRoom

WAITS = {"name": "waits", "nodes": {"n": {"type": "agent", "agent": "echo"}}}


@pytest.fixture
def worker(db):
    return Worker.objects.create(name="w", host="here", pid=1, lock_key=1, slots=1, version="1")


@pytest.fixture(autouse=True)
def counted_anew():
    health.active.until = 0.0


def ready(client):
    answer = client.get("/ready")
    return answer.status_code, answer.json()["checks"]


def test_it_is_healthy_without_a_worker(db, client):
    answer = client.get("/health")

    assert (answer.status_code, answer.json()["status"], answer.json()["active_workflows"]) == (200, "healthy", 0)


def test_it_counts_the_runs_of_all_organizations_that_have_not_ended(room, client):
    other = EngineRoom(Organization.objects.create(name="Globex", slug="globex"))
    for one in (room, other):
        one.start(WAITS)
    room.cancel(room.start(WAITS))

    assert client.get("/health").json()["active_workflows"] == 2


def test_it_counts_no_further_than_it_says(room, client, monkeypatch):
    monkeypatch.setattr(health, "MOST_COUNTED", 2)
    for _ in range(3):
        room.start(WAITS)

    assert client.get("/health").json()["active_workflows"] == 2


def test_it_is_ready_with_everything(worker, client):
    assert ready(client) == (200, {"database": "ok", "broker": "ok", "workers": "ok"})


def test_it_is_not_ready_without_a_worker(db, client):
    status, checks = ready(client)

    assert (status, checks["workers"]) == (503, "none is alive")
    assert client.get("/ready")["Retry-After"]


def test_a_worker_that_is_silent_for_a_lease_is_none(worker, client):
    Worker.objects.update(heartbeat_at=Now() - timedelta(seconds=settings.ORCHESTRA_LEASE_SECONDS + 1))

    assert ready(client)[1]["workers"] == "none is alive"


def test_a_worker_that_has_stopped_is_none(worker, client):
    Worker.objects.update(stopped_at=Now())

    assert ready(client)[0] == 503


def test_it_names_a_broker_that_is_away(worker, client, monkeypatch):
    monkeypatch.setattr(redis, "ask", lambda question: None)

    assert ready(client) == (503, {"database": "ok", "broker": "does not answer", "workers": "ok"})


def test_it_names_a_database_that_is_away_and_is_healthy_itself(db, client, monkeypatch):
    def fail(*_, **__):
        raise TRANSIENT[0]

    for name in ("exists", "filter"):
        monkeypatch.setattr(Worker.objects, name, fail)
    monkeypatch.setattr("apps.workflows.selectors.count_going_on", fail)

    assert ready(client)[1]["database"] == "does not answer"
    assert client.get("/health").json()["active_workflows"] is None


def test_it_is_healthy_at_once_while_the_database_says_nothing(db, client, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr("apps.workflows.selectors.count_going_on", lambda most: answers.wait(30))

    answer = client.get("/health")

    assert not answers.is_set()
    assert (answer.status_code, answer.json()["active_workflows"]) == (200, None)
    answers.set()
