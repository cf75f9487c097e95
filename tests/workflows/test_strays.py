"""What a living worker holds in the table and does not execute."""

import pytest

from apps.workflows.services import attempts
from apps.workflows.worker.runtime import WorkerRuntime
from tests.workflows.engine_room import EngineRoom

pytestmark = pytest.mark.django_db(transaction=True)

ONE_ECHO = {"name": "one", "nodes": {"a": {"type": "agent", "agent": "echo", "input": {"message": "hi"}}}}


def test_a_claim_whose_answer_was_lost_is_taken_back_at_the_second_look(room: EngineRoom) -> None:
    worker = WorkerRuntime(slots=1)
    run = room.start(ONE_ECHO)
    claim = attempts.take(room.node(run, "a").pk, worker.leases)
    assert claim is not None
    worker.leases.let_go(claim.row)

    worker._reclaim()
    first = room.node(run, "a")
    worker._reclaim()
    second = room.node(run, "a")

    assert (first.status, second.status, second.lost_count) == ("running", "queued", 1)
    assert room.until_ended(run).status == "completed"


def test_what_the_worker_executes_is_left_alone(room: EngineRoom) -> None:
    worker = WorkerRuntime(slots=1)
    run = room.start(ONE_ECHO)
    attempts.take(room.node(run, "a").pk, worker.leases)

    worker._reclaim()
    worker._reclaim()

    node = room.node(run, "a")
    assert (node.status, node.lost_count) == ("running", 0)
