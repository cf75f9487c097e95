"""What nobody tells a worker of, and what a worker leaves behind that dies: the loops find both."""

import threading
from collections.abc import Iterator
from uuid import UUID

import pytest

from apps.workflows import dispatch
from apps.workflows.services import attempts, recovery
from apps.workflows.services.leases import Leases
from apps.workflows.store.database import transaction
from apps.workflows.worker.liveness import Liveness
from apps.workflows.worker.runtime import WorkerRuntime
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import Probes, probe

LEASE = 10
ONE = workflow({"a": probe("a")})


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """What is published from here on; nothing reaches a broker."""
    published: list[UUID] = []
    monkeypatch.setattr(dispatch, "hint", lambda nodes: published.extend(node for node, _ in nodes))
    return published


@pytest.fixture
def living() -> Iterator[Liveness]:
    """A worker that has registered a while ago, holds its lock, and beats only when it is told to."""
    liveness = Liveness(Leases(), "living", slots=1)
    liveness._stop.set()
    liveness.start()
    grow_old(0)
    yield liveness
    assert liveness._connection is not None
    liveness._connection.close()


def grow_old(silence: float) -> None:
    """Every worker has started a minute ago, and has not beaten for so long."""
    with transaction() as tx:
        tx.execute(
            "update workflows_worker set started_at = clock_timestamp() - interval '1 minute',"
            " heartbeat_at = clock_timestamp() - make_interval(secs => %(silence)s)",
            silence=silence,
        )


def forget_hints() -> None:
    """Whatever was published is long ago, and was lost."""
    with transaction() as tx:
        tx.execute("update workflows_noderun set hinted_at = clock_timestamp() - interval '1 minute'")


def test_a_hint_that_was_lost_is_given_again(room: EngineRoom, calls: Probes, hints: list[UUID]) -> None:
    node = room.node(room.start(ONE), "a").pk
    hints.clear()
    forget_hints()

    recovery.recover(LEASE)
    recovery.recover(LEASE)

    assert hints == [node]


def test_a_node_that_was_never_published_is_hinted(room: EngineRoom, calls: Probes, hints: list[UUID]) -> None:
    """The process has died between its commit and its message."""
    node = room.node(room.start(ONE), "a").pk
    hints.clear()
    with transaction() as tx:
        tx.execute("update workflows_noderun set hinted_at = null")

    recovery.recover(LEASE)

    assert hints == [node]


def test_a_worker_finds_work_without_any_hint(room: EngineRoom, calls: Probes, hints: list[UUID]) -> None:
    done = threading.Event()
    calls["a"] = lambda task, ctx: done.set()
    run = room.start(ONE)
    worker = WorkerRuntime(slots=1)

    worker._fill()

    assert done.wait(30)  # a thread on a busy machine
    worker.slots.wait_idle(30)
    assert room.status(run) == "completed"


def test_what_a_dead_worker_held_is_taken_back(
    room: EngineRoom, calls: Probes, hints: list[UUID], living: Liveness
) -> None:
    run = room.start(ONE)
    assert attempts.take(room.node(run, "a").pk, living.leases)
    assert living._connection is not None
    living._connection.close()  # as the kernel does when the process dies

    for _ in range(50):  # the server notices that its client has gone, and lets the lock go
        if recovery.recover(LEASE)["workers_lost"]:
            break
        threading.Event().wait(0.1)

    assert (room.statuses(run), room.attempts(run, "a")) == ({"a": "queued"}, ["lost"])


def test_what_a_frozen_worker_holds_is_taken_back(
    room: EngineRoom, calls: Probes, hints: list[UUID], living: Liveness
) -> None:
    """Its process has not died, so it holds its lock; but it is silent for longer than its lease."""
    run = room.start(ONE)
    assert attempts.take(room.node(run, "a").pk, living.leases)
    grow_old(LEASE + 1)

    recovery.recover(LEASE)

    assert (room.statuses(run), room.attempts(run, "a")) == ({"a": "queued"}, ["lost"])


def test_what_a_living_worker_holds_is_left_to_it(
    room: EngineRoom, calls: Probes, hints: list[UUID], living: Liveness
) -> None:
    run = room.start(ONE)
    assert attempts.take(room.node(run, "a").pk, living.leases)
    grow_old(LEASE - 5)

    recovery.recover(LEASE)

    assert (room.statuses(run), room.attempts(run, "a")) == ({"a": "running"}, ["running"])
