"""How many runs of an organization may wait to begin."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.workflows.models import Run
from apps.workflows.services import queue_limit
from apps.workflows.services.firing import fire_schedules
from tests.fixtures import Actor
from tests.workflows.engine_room import EngineRoom

INLINE = {"definition": {"name": "one", "nodes": {"n": {"type": "set", "values": {"x": 1}}}}}


@pytest.fixture(autouse=True)
def room_for_two(settings: Any) -> Iterator[None]:
    settings.ORCHESTRA_ORGANIZATION_QUEUE = 2
    queue_limit.forget()
    yield
    queue_limit.forget()


def submit(actor: Actor, **headers: str) -> Any:
    return actor.client.post("/v1/runs", INLINE, format="json", headers=headers)


def test_a_full_queue_refuses_the_next_run_and_says_when_to_come_again(room: EngineRoom, alice: Actor) -> None:
    accepted = [submit(alice).status_code for _ in range(2)]
    refused = submit(alice)

    assert accepted == [202, 202]
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert int(refused["Retry-After"]) >= 1
    with room.scope():
        assert Run.objects.count() == 2


def test_there_is_room_again_when_runs_have_begun(room: EngineRoom, alice: Actor) -> None:
    for _ in range(3):
        submit(alice)
    room.work()
    queue_limit.forget()

    assert submit(alice).status_code == 202


def test_what_other_processes_have_queued_counts_after_a_moment(room: EngineRoom, alice: Actor) -> None:
    for _ in range(2):
        room.start(INLINE["definition"])
    queue_limit.forget()

    assert submit(alice).status_code == 429


def test_a_schedule_adds_nothing_to_a_full_queue_and_notes_the_time(room: EngineRoom, alice: Actor) -> None:
    schedule = room.schedule(INLINE["definition"], overlap="allow")
    for _ in range(2):
        submit(alice)
    room.make_late(schedule, 90)  # whatever second it is, a minute has begun since

    fire_schedules()

    (fire,) = room.fires(schedule)
    assert (fire.outcome, fire.run_id) == ("skipped", None)
    assert "as many runs waiting" in fire.reason


def test_an_answer_that_was_given_before_is_given_again(room: EngineRoom, alice: Actor) -> None:
    first = submit(alice, idempotency_key="a")
    submit(alice)

    again = submit(alice, idempotency_key="a")

    assert (again.status_code, again.json()) == (202, first.json())
    assert submit(alice, idempotency_key="b").status_code == 429


def test_the_queue_of_one_organization_is_nothing_to_another(room: EngineRoom, alice: Actor, charlie: Actor) -> None:
    for _ in range(3):
        submit(alice)

    assert submit(charlie).status_code == 202
