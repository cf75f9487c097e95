"""Who leads the recovery, when the one who leads stands still."""

import time
from collections.abc import Callable, Iterator

import pytest

from apps.workflows.models import Worker
from apps.workflows.services.leases import Leases
from apps.workflows.store import workers
from apps.workflows.store.database import transaction
from apps.workflows.worker.liveness import Liveness
from orchestra.house import wait_until

Begin = Callable[[str], Liveness]


@pytest.fixture
def begin(transactional_db: None) -> Iterator[Begin]:
    """Liveness of a worker that has registered, and that looks after itself only when it is told to."""
    begun: list[Liveness] = []

    def begin_one(name: str) -> Liveness:
        liveness = Liveness(Leases(), name, slots=1)
        liveness._stop.set()
        liveness.start()
        begun.append(liveness)
        return liveness

    yield begin_one
    for liveness in begun:
        if liveness._connection is not None:
            liveness._connection.close()


def silence(name: str, seconds: float) -> None:
    """The worker has not beaten for so long."""
    with transaction() as tx:
        tx.execute(
            "update workflows_worker set heartbeat_at = clock_timestamp() - make_interval(secs => %(seconds)s)"
            " where name = %(name)s",
            name=name,
            seconds=seconds,
        )


def test_another_worker_leads_when_the_leader_is_frozen(begin: Begin, settings) -> None:
    frozen, other = begin("frozen"), begin("other")
    frozen._look_after(beat=True)
    silence("frozen", settings.ORCHESTRA_LEASE_SECONDS + 1)

    for _ in range(100):  # one look ends the session of the frozen one, a later one takes the lead
        other._look_after(beat=True)
        if other.leads:
            break
        time.sleep(0.05)  # the server ends a session in its own time

    assert other.leads
    assert Worker.objects.get(name="frozen").stopped_at is None  # whether it is gone is another question


def test_a_leader_that_beats_is_left_alone(begin: Begin, settings) -> None:
    leader, other = begin("leader"), begin("other")
    leader._look_after(beat=True)
    silence("leader", settings.ORCHESTRA_LEASE_SECONDS / 2)

    for _ in range(2):
        other._look_after(beat=True)

    assert leader.leads
    assert not other.leads
    with transaction() as tx:
        assert not workers.depose(tx, settings.ORCHESTRA_LEASE_SECONDS)


def test_who_was_deposed_goes_on_and_follows(begin: Begin, settings) -> None:
    thawed, other = begin("thawed"), begin("other")
    thawed._look_after(beat=True)
    silence("thawed", settings.ORCHESTRA_LEASE_SECONDS + 1)

    def follow() -> bool:
        other._look_after(beat=True)
        return other.leads

    wait_until(
        follow, "nobody follows the leader that was deposed"
    )  # whose connection ends when the server comes to it

    with pytest.raises(Exception, match=r"terminat|closed|connection"):
        thawed._look_after(beat=True)
    thawed._look_after(beat=True)

    assert not thawed.leads
    assert other.leads
