"""D5. A worker that was frozen for longer than its lease wakes up, and goes on as if nothing had happened.

Another has claimed its node meanwhile, so whatever it still says of it is refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django_scopes import scope

from apps.common.asyncio_loop import Cancelled
from apps.common.failpoints import InjectedFault, armed
from apps.integrations import registry
from apps.integrations.tools import tool
from apps.observability.models import LogLine
from apps.workflows.models import Effect, JournalEntry
from apps.workflows.services import attempts, recovery
from apps.workflows.services.attempt_context import AttemptContext
from apps.workflows.services.attempts import Claim
from apps.workflows.services.leases import Leases
from apps.workflows.worker.liveness import Liveness
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import Probes, probe
from tests.workflows.test_recovery import LEASE, grow_old


@dataclass
class Zombie:
    """A claim that was good, of a worker that has been replaced."""

    room: EngineRoom
    liveness: Liveness
    claim: Claim
    successor: Leases

    @property
    def context(self) -> AttemptContext:
        """What the body that still runs sees."""
        return AttemptContext(self.claim.row, self.liveness.leases)


@pytest.fixture
def zombie(room: EngineRoom, calls: Probes) -> Iterator[Zombie]:
    liveness = Liveness(Leases(), "zombie", slots=1)
    liveness._stop.set()
    liveness.start()
    run = room.start(workflow({"a": probe("a"), "b": probe("b")}, ["a b"]))
    claim = attempts.take(room.node(run, "a").pk, liveness.leases)
    assert claim is not None
    with armed("beat_stall=raise"), pytest.raises(InjectedFault):  # the heartbeat stands still
        liveness._look_after(beat=True)
    grow_old(LEASE + 1)
    recovery.recover(LEASE)
    successor = Leases()
    assert attempts.take(claim.row.id, successor) is not None
    yield Zombie(room, liveness, claim, successor)
    assert liveness._connection is not None
    liveness._connection.close()


def unchanged(zombie: Zombie) -> None:
    """The successor holds the node, and nobody has heard of the zombie."""
    run = zombie.claim.row.run_id
    row = zombie.room.node(run, "a")
    assert (row.status, row.fence, row.worker) == ("running", 2, zombie.successor.worker)
    assert zombie.room.attempts(run, "a") == ["lost", "running"]
    types = [event.type for event in zombie.room.events(run)]
    assert not {"node.completed", "node.failed", "node.progress"} & {*types}


def test_its_heartbeat_tells_it_that_its_node_is_gone(zombie: Zombie) -> None:
    assert zombie.context.cancelled is False  # it cannot know yet

    zombie.liveness._look_after(beat=True)

    assert zombie.context.cancelled
    unchanged(zombie)


def test_its_steps_are_not_recorded(zombie: Zombie) -> None:
    with pytest.raises(Cancelled):
        zombie.context.step("late", lambda: "late")

    assert not JournalEntry.objects.exists()
    unchanged(zombie)


def test_its_progress_is_not_told(zombie: Zombie) -> None:
    context = zombie.context
    context.progress(0.9, "nearly")

    context.flush()

    unchanged(zombie)


def test_its_log_lines_are_not_written(zombie: Zombie) -> None:
    context = zombie.context
    context.log.info("still here")

    context.flush()

    with scope(organization=zombie.room.organization):
        assert not LogLine.objects.exists()
    unchanged(zombie)


@pytest.mark.parametrize("end", ["output", "failure"])
def test_its_result_is_refused(zombie: Zombie, calls: Probes, end: str) -> None:
    calls["a"] = lambda task, ctx: "late" if end == "output" else 1 / 0
    outcome = attempts.execute(zombie.claim, zombie.liveness.leases)

    following = attempts.bring(zombie.claim, outcome, zombie.liveness.leases)

    assert following is None
    unchanged(zombie)


def test_its_effects_do_not_happen(zombie: Zombie) -> None:
    sent: list[str] = []

    @tool(name="pay_late", effect="external_write")
    def pay_late(what: str) -> str:
        sent.append(what)
        return "paid"

    try:
        with pytest.raises(Cancelled):
            zombie.context.call_tool("pay_late", {"what": "tea"})
    finally:
        registry.unregister("pay_late")

    assert sent == []
    with scope(organization=zombie.room.organization):
        assert not Effect.objects.exists()
    unchanged(zombie)


def test_its_successor_ends_the_run_as_if_it_had_never_been(zombie: Zombie) -> None:
    run = zombie.claim.row.run_id
    acts: list[Callable[[], object]] = [
        lambda: zombie.liveness._look_after(beat=True),
        lambda: attempts.bring(zombie.claim, attempts.execute(zombie.claim, zombie.liveness.leases), Leases()),
    ]
    for act in acts:
        act()

    zombie.room.die(zombie.successor)
    zombie.room.until_ended(run)

    assert zombie.room.status(run) == "completed"
    completed = [event.node for event in zombie.room.events(run, "node.completed")]
    assert completed == ["a", "b"]
