"""D2 and F12. Many processes on the same rows at the same moment: everything is claimed once, nobody meets an error."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import hypothesis
import pytest
from django.db import connection

from apps.common.database import release_connection
from apps.workflows.nodes.base import Completed
from apps.workflows.nodes.registry import served
from apps.workflows.services import attempts
from apps.workflows.services.leases import Leases
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import transaction
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import probe

LONG = hypothesis.settings.get_current_profile_name() == "long"
TAKERS = 16
RUNS, WIDE = (100, 50) if LONG else (10, 40)  # node runs to claim: 5,000, or what takes seconds
FINISHERS = 8
ROUNDS = 1_000 if LONG else 8

T = TypeVar("T")


@pytest.fixture(autouse=True)
def enough_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread stands for a process, and none waits for another's connection."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", False)


@pytest.fixture
def no_deadlock(room: EngineRoom) -> Iterable[None]:
    """The server has broken up no deadlock during the test; one that was got over by trying again counts too."""
    before = deadlocks()
    yield
    assert deadlocks() == before


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        cursor.execute("select deadlocks from pg_stat_database where datname = current_database()")
        return int(cursor.fetchone()[0])


def at_once(act: Callable[[T], Any], each: list[T]) -> list[Any]:
    """Does the act with each, in a thread of its own, all beginning at one moment; raises what any of them raises."""
    together = threading.Barrier(len(each), timeout=30)

    def begin(one: T) -> Any:
        together.wait()
        try:
            return act(one)
        finally:
            release_connection()

    with ThreadPoolExecutor(len(each)) as threads:
        return list(threads.map(begin, each))


def test_of_many_who_claim_everything_each_node_run_is_claimed_once(room: EngineRoom, no_deadlock: None) -> None:
    document = workflow({f"n{number}": probe("n") for number in range(WIDE)})
    runs = [room.start(document) for _ in range(RUNS)]

    def take_all(seed: int) -> list[tuple[UUID, int]]:
        leases, random, claims = Leases(), Random(seed), []
        while waiting := _claimable():
            tried = (attempts.take(node, leases) for node in random.sample(waiting, min(5, len(waiting))))
            claims += [(claim.row.id, claim.row.fence) for claim in tried if claim]
        return claims

    claims = [claim for found in at_once(take_all, list(range(TAKERS))) for claim in found]

    assert len(claims) == RUNS * WIDE
    assert set(Counter(claims).values()) == {1}
    assert {fence for _, fence in claims} == {1}
    rows = [row for run in runs for row in room.nodes(run)]
    assert {(row.pk, row.fence, row.status) for row in rows} == {(node, 1, "running") for node, _ in claims}


def _claimable() -> list[UUID]:
    with transaction() as tx:
        return questions.claimable(tx, served(), limit=100)


def test_eight_workers_that_finish_eight_siblings_at_once_meet_no_error(room: EngineRoom, no_deadlock: None) -> None:
    """Each is a worker of its own: nothing is brought together, as in processes of their own."""
    siblings = [f"s{number}" for number in range(FINISHERS)]
    save = {"seen": "{{ output }}"}
    document = workflow(
        {"a": {}, **{name: probe("s", save=save) for name in siblings}, "z": {}},
        [f"a {name}" for name in siblings] + [f"{name} z" for name in siblings],
        context={"seen": {"reducer": "append", "initial": []}},
    )

    def finish(claim: attempts.Claim) -> None:
        attempts.bring(claim, Completed(claim.row.node), Leases())

    for _ in range(ROUNDS):
        run = room.start(document)
        room.begin(run, "a")
        claims = [room.claim(run, name) for name in siblings]

        at_once(finish, claims)

        assert room.status(run) == "completed"
        assert room.visits(run) == dict.fromkeys(["a", "z", *siblings], 1)
        assert room.context(run)["seen"] == siblings  # in the order of the nodes, whoever was first
        events = [event.seq for event in room.events(run)]
        assert events == list(range(1, len(events) + 1))
        assert len(room.events(run, "node.completed")) == FINISHERS + 2
