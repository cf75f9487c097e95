"""Nodes that were lost with their workers again and again: the guilty one must not take the others with it."""

from uuid import UUID

import pytest

from apps.workflows.services import attempts
from apps.workflows.services.leases import Leases
from apps.workflows.worker.backlog import Backlog
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import probe

pytestmark = pytest.mark.django_db(transaction=True)


def lost_together(room: EngineRoom, times: int) -> list:
    """Two nodes of different runs that one worker after the other has died with."""
    runs = [room.start({"name": "two", "nodes": {"n": probe("n")}}) for _ in range(2)]
    nodes = [room.node(run, "n") for run in runs]
    for _ in range(times):
        worker = room.another_worker()
        assert all(attempts.take(node.pk, worker) for node in nodes)
        room.die(worker)
    return nodes


def test_a_worker_holds_one_suspect_at_a_time(room: EngineRoom) -> None:
    first, second = lost_together(room, times=3)
    worker, other = room.another_worker(), room.another_worker()

    claims = [attempts.take(first.pk, worker), attempts.take(second.pk, worker)]

    assert [claim is not None for claim in claims] == [True, False]
    assert attempts.take(second.pk, other) is not None


def test_the_next_suspect_follows_when_the_first_is_done(room: EngineRoom) -> None:
    first, second = lost_together(room, times=3)
    worker = room.another_worker()

    attempts.work(first.pk, worker)

    assert attempts.take(second.pk, worker) is not None


def test_two_losses_make_nobody_a_suspect(room: EngineRoom) -> None:
    first, second = lost_together(room, times=2)
    worker = room.another_worker()

    claims = [attempts.take(first.pk, worker), attempts.take(second.pk, worker)]

    assert None not in claims


def test_a_suspect_that_was_not_claimed_makes_room(room: EngineRoom) -> None:
    first, second = lost_together(room, times=3)
    worker = room.another_worker()
    room.pause(first.run_id)

    claims = [attempts.take(first.pk, worker), attempts.take(second.pk, worker)]

    assert [claim is not None for claim in claims] == [False, True]


def test_a_worker_with_a_suspect_is_offered_no_other(room: EngineRoom) -> None:
    first, second = lost_together(room, times=3)
    fresh = room.node(room.start({"name": "one", "nodes": {"n": probe("n")}}), "n")
    worker = room.another_worker()

    claim = attempts.take(first.pk, worker)
    assert claim is not None
    with_it = offered(worker)
    attempts.go_on(claim, worker)

    assert with_it == [fresh.pk]
    assert offered(worker) == [second.pk, fresh.pk]


def offered(worker: Leases) -> list[UUID]:
    """What a worker would claim next."""
    backlog = Backlog(worker)
    return [offer.node_run for offer in iter(backlog.next, None)]
