"""Runs that were under way in an older Orchestra end in this one as they would have there (F20)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.golden.dumps import PLACE
from tests.golden.in_flight import OF_EACH, STATES

ROOT = PLACE.parent.parent
DUMPS = sorted(PLACE.glob("*.json"))


@pytest.fixture
def empty_database(database_url: str) -> Iterator[str]:
    """The address of a database without tables."""
    server, _, _ = database_url.rpartition("/")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create database golden")
        yield f"{server}/golden"
        connection.execute("drop database golden")  # waits for autovacuum, which nobody may end


@pytest.fixture
def resume(empty_database: str, redis_url: str) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Loads a dump into an empty database, migrates and resumes."""

    def act(path: Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"DATABASE_URL": empty_database, "REDIS_URL": redis_url}
        command = [sys.executable, "-m", "tests.golden.resume", str(path)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return act


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
def test_what_was_in_flight_ends_as_it_would_have(path: Path, resume: Callable[..., object]) -> None:
    dumped = json.loads(path.read_text())

    done = resume(path)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ends"] == dumped["expected"]
    assert told["finished"] == dumped["finished"]  # nothing finished is done again


def test_the_newest_dump_holds_every_state() -> None:
    ends = json.loads(DUMPS[-1].read_text())["expected"]

    assert ends.keys() == {f"{state} {n}" for state in STATES for n in range(OF_EACH)}
