"""How long one waits for a database that does not answer."""

import itertools

import psycopg
import pytest

from apps.workflows.store import database
from apps.workflows.store.database import MANY_TRIES, patiently
from orchestra import settings

POOL_SECONDS = 5.0  # that each try waits for a connection


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each try was made, by a clock that every try moves on."""
    made: list[float] = []
    monkeypatch.setattr(database.time, "sleep", lambda _: None)
    monkeypatch.setattr(database.time, "monotonic", lambda: len(made) * POOL_SECONDS * 1.01)
    return made


def fail(tries: list[float]) -> None:
    tries.append(len(tries) * POOL_SECONDS)
    raise psycopg.OperationalError


def test_who_waits_for_an_answer_is_told_after_one_wait_for_a_connection(tries: list[float]) -> None:
    with pytest.raises(psycopg.OperationalError):
        patiently(lambda: fail(tries))

    assert len(tries) == 1


def test_a_finished_piece_of_work_is_brought_however_long_a_try_takes(tries: list[float]) -> None:
    outcomes = itertools.chain([fail] * (MANY_TRIES - 1), [lambda _: "landed"])

    assert patiently(lambda: next(outcomes)(tries), tries=MANY_TRIES) == "landed"


def test_a_database_that_is_back_is_found_within_seconds_however_long_it_was_away() -> None:
    pool = settings.database("postgresql://orchestra@localhost/orchestra")["OPTIONS"]["pool"]

    assert pool["reconnect_timeout"] <= 5
