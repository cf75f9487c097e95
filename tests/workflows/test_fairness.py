"""Organizations beside each other: none waits because another has queued more."""

from uuid import UUID

import pytest
from django.db import connection

from apps.accounts.models import Organization
from apps.workflows.nodes.registry import served
from apps.workflows.services import attempts, recovery
from apps.workflows.services.leases import Leases
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import transaction
from apps.workflows.worker.backlog import Backlog
from apps.workflows.worker.runtime import WorkerRuntime
from tests.workflows.engine_room import EngineRoom

ONE = {"name": "one", "nodes": {"n": {"type": "agent", "agent": "echo"}}}

_FLOOD = """
insert into workflows_noderun (id, created_at, run_id, organization_id, node, visit, index, depth, handler, queue,
    status, waiting_for, priority, available_at, fence, attempt, lost_count, open_items, state)
select gen_random_uuid(), now(), run_id, organization_id, node, visit + number, -1, depth, handler, queue, status,
    waiting_for, priority, available_at, 0, 0, 0, 0, '{}'
from workflows_noderun, generate_series(1, %s) as number where run_id = %s
"""


@pytest.fixture
def other(room: EngineRoom) -> EngineRoom:
    return EngineRoom(Organization.objects.create(name="Globex", slug="globex"))


def flood(room: EngineRoom, count: int) -> UUID:
    """A run with so many queued nodes; gives its id."""
    run = room.start(ONE)
    with connection.cursor() as cursor:
        cursor.execute(_FLOOD, [count - 1, run])
    return run


def organizations(limit: int, *, after: UUID = questions.NOBODY, share: int | None = None) -> list[UUID]:
    with transaction() as tx:
        return [offer.organization for offer in questions.offers(tx, served(), limit, after=after, share=share)[0]]


def test_one_run_is_offered_beside_thousands_of_another_organization(room: EngineRoom, other: EngineRoom) -> None:
    flood(room, 2000)
    other.start(ONE)

    offered = organizations(10)

    assert set(offered[:2]) == {room.organization.pk, other.organization.pk}
    assert offered[2:] == [room.organization.pk] * 8


def test_a_worker_serves_the_other_organization_with_its_next_two_claims(room: EngineRoom, other: EngineRoom) -> None:
    flood(room, 2000)
    run = other.start(ONE)
    backlog = Backlog(room.worker)

    picked = [backlog.next() for _ in range(2)]

    assert other.node(run, "n").pk in {offer.node_run for offer in picked if offer}


def test_the_last_free_slot_goes_to_whose_turn_it_is_and_not_to_the_first_message(
    room: EngineRoom, other: EngineRoom
) -> None:
    first, hinted = room.start(ONE), room.start(ONE)
    run = other.start(ONE)
    worker = WorkerRuntime(slots=1)
    worker.backlog._served = room.organization.pk
    claimed: list[UUID] = []
    worker.leases.hold = lambda row: claimed.append(row.run_id)  # type: ignore[method-assign]

    worker._fill()
    assert worker.slots.wait_idle(20)

    assert claimed[0] == run
    assert set(claimed) == {run, first, hinted}


def test_what_was_lost_keeps_its_place_before_what_came_later(room: EngineRoom) -> None:
    first, *_ = [room.start(ONE) for _ in range(3)]
    node = room.node(first, "n").pk
    assert attempts.take(node, room.worker)

    room.die()

    assert room.claimable() == [node]


def test_organizations_take_turns(room: EngineRoom, other: EngineRoom) -> None:
    for each in (room, other):
        flood(each, 5)

    first, *_ = organizations(1)
    following, *_ = organizations(1, after=first)

    assert {first, following} == {room.organization.pk, other.organization.pk}
    assert organizations(1, after=following) == [first]


def test_an_organization_whose_queue_cannot_be_claimed_does_not_stop_the_round(
    room: EngineRoom, other: EngineRoom
) -> None:
    room.pause(flood(room, 5))
    other.start(ONE)
    backlog = Backlog(room.worker)

    assert backlog.next() is not None


def test_a_priority_counts_within_its_organization(room: EngineRoom, other: EngineRoom) -> None:
    for _ in range(3):
        room.start(ONE, priority=100)
    low, high = other.start(ONE), other.start(ONE, priority=5)

    with transaction() as tx:
        offered = [offer.node_run for offer in questions.offers(tx, served(), 10)[0]]

    assert other.node(high, "n").pk in offered[:2]
    assert other.node(low, "n").pk in offered[2:4]


def test_an_organization_that_has_its_share_at_work_is_passed_over(room: EngineRoom, other: EngineRoom) -> None:
    started = [room.start(ONE) for _ in range(4)]
    other.start(ONE)
    for run in started[:2]:
        assert attempts.take(room.node(run, "n").pk, Leases())

    assert set(organizations(10, share=2)) == {other.organization.pk}
    assert set(organizations(10, share=3)) == {room.organization.pk, other.organization.pk}


def test_every_organization_is_hinted_again(room: EngineRoom, other: EngineRoom) -> None:
    flood(room, 2000)
    run = other.start(ONE)

    recovery.hint_again()

    assert other.node(run, "n").hinted_at is not None
