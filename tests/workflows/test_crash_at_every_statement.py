"""D3. Every act of the engine, broken at each of its round trips to the database and in every way: done again, it
comes to the same.

The break moves on by one round trip until the act is over before it, so nothing here knows how the engine works.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now

from apps.accounts import idempotency
from apps.agents.models import AgentInstance, AgentTask
from apps.agents.services import live
from apps.common.database import release_connection
from apps.common.failpoints import armed
from apps.workflows.nodes.base import Failed, NodeError
from apps.workflows.services import attempts, firing, recovery
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import TRANSIENT, patiently, transaction
from tests.engine.documents import workflow
from tests.workflows.breaking import WAYS, Breaking
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import Probes, probe

DOCUMENT = workflow(
    {
        "a": probe("a", save={"seen": "{{ output }}"}),
        "b": probe("b", input="{{ nodes.a.output }} and b", save={"seen": "{{ output }}"}),
        "m": {"type": "map", "over": [1, 2], "node": probe("i", input="{{ item }}")},
        "w": {"type": "wait", "seconds": 5},
        "j": {"values": {"b": "{{ nodes.b.output }}", "m": "{{ nodes.m.output }}"}},
    },
    ["a b", "a m", "a w", "b j", "m j", "w j"],
    context={"seen": {"reducer": "append", "initial": []}},
)
ENDED = {
    "status": "completed",
    "output": {"j": {"b": "brought and b", "m": [1, 2]}},
    "context": {"seen": ["brought", "brought and b"]},
    "completed": ["a", "b", "j", "m", "m", "m", "w"],
}


@pytest.fixture(autouse=True)
def no_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A connection that is given back is closed: no dead one waits in a pool for what comes after the break."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", False)
    yield
    connection.close()


Do = Callable[[], object]
Scene = Callable[[EngineRoom], tuple[UUID, Do]]

_STATE = {
    "run": """
        select status, visits, last_seq, marking, error::json ->> 'code' as error from workflows_run where id = %(run)s
        """,
    "nodes": """
        select node, visit, index, status, waiting_for, fence, completed_fence, attempt, lost_count, open_items, input,
            output, error, state::json ->> 'degraded' as degraded
        from workflows_noderun where run_id = %(run)s order by node, visit, index
        """,
    "attempts": """
        select n.node, n.visit, n.index, a.fence, a.outcome, a.ended_at is null as open from workflows_attempt a
        join workflows_noderun n on n.id = a.node_run_id where n.run_id = %(run)s order by n.node, n.index, a.fence
        """,
    "events": """
        select type, node, visit, index from workflows_runevent where run_id = %(run)s order by type, node, visit, index
        """,
    "context": "select key, seq, rank, value, node from workflows_contextentry where run_id = %(run)s order by seq",
}


# ---- acts that leave every row as they would have left it unbroken -----------------------------------------------


def under_way(room: EngineRoom) -> UUID:
    """`b` is running, the items of `m` may be claimed, `w` waits."""
    run = room.start(DOCUMENT)
    room.bring(room.claim(run, "a"), "brought", go_on=False)
    room.claim(run, "b")
    return run


def complete(room: EngineRoom) -> tuple[UUID, Do]:
    run = room.start(DOCUMENT)
    claim = room.claim(run, "a")
    return run, lambda: room.bring(claim, "brought", go_on=False)


def complete_the_last_item(room: EngineRoom) -> tuple[UUID, Do]:
    run = under_way(room)
    room.bring(room.claim(run, "m", index=0), 1, go_on=False)
    claim = room.claim(run, "m", index=1)
    return run, lambda: room.bring(claim, 2, go_on=False)


def take_back_what_was_lost(room: EngineRoom) -> tuple[UUID, Do]:
    run = under_way(room)
    room.bury(room.worker)
    return run, recovery.take_back_lost


def fail_what_was_lost_too_often(room: EngineRoom) -> tuple[UUID, Do]:
    run = under_way(room)
    for _ in range(4):
        room.die()
        room.claim(run, "b")
    room.bury(room.worker)
    return run, recovery.take_back_lost


def fire_what_is_due(room: EngineRoom) -> tuple[UUID, Do]:
    run = under_way(room)
    room.make_due(60)
    return run, recovery.fire_due


def cancel(room: EngineRoom) -> tuple[UUID, Do]:
    run = under_way(room)
    return run, lambda: room.cancel(run)


def pause(room: EngineRoom) -> tuple[UUID, Do]:
    run = under_way(room)
    return run, lambda: room.pause(run)


def leave_to_an_agent(room: EngineRoom) -> tuple[UUID, Do]:
    with room.scope():
        facts = {"agent": "helper", "capabilities": [], "interval": 60}
        live.register(organization=room.organization, name="helper-1", **facts)
        AgentInstance.objects.update(polled_at=Now())
    run = room.start(workflow({"a": {"type": "agent", "agent": "helper"}, "b": probe("b")}, ["a b"]))
    claim = room.claim(run, "a")
    outcome = room.execute(claim)
    return run, lambda: room.bring(claim, outcome, go_on=False)


def hear_an_agent(room: EngineRoom) -> tuple[UUID, Do]:
    run, leave = leave_to_an_agent(room)
    leave()
    with room.scope():
        AgentTask.objects.filter(run_id=run).update(state="completed", output="helped", finished_at=Now())
    return run, recovery.wake


FAILED = Failed(NodeError("error", "It broke.", retryable=True))


def take_the_first_step(room: EngineRoom) -> tuple[UUID, Do]:
    run = room.start(workflow({"a": probe("a", degrade=["cached", "person"])}))
    claim = room.claim(run, "a")
    return run, lambda: room.bring(claim, FAILED, go_on=False)


def ask_a_person_in_its_place(room: EngineRoom) -> tuple[UUID, Do]:
    run, fail = take_the_first_step(room)
    fail()
    claim = room.claim(run, "a")
    return run, lambda: room.bring(claim, FAILED, go_on=False)


EXACT: list[Scene] = [
    complete, complete_the_last_item, take_back_what_was_lost, fail_what_was_lost_too_often, fire_what_is_due, cancel,
    pause, leave_to_an_agent, hear_an_agent, take_the_first_step, ask_a_person_in_its_place,
]  # fmt: skip


@pytest.mark.parametrize("scene", EXACT, ids=lambda scene: scene.__name__)
def test_an_act_that_broke_anywhere_and_is_done_again_leaves_the_same_rows(
    room: EngineRoom, calls: Probes, scene: Scene
) -> None:
    run, do = scene(room)
    do()
    expected = state_of(run)

    for way in WAYS:
        for at in count(1):
            room.worker = room.another_worker()
            run, do = scene(room)
            reached = insist(do, at, way)

            assert state_of(run) == expected, (at, way)
            if not reached:
                break


# ---- acts whose worker may not know that it has something: its own second look finds that ------------------------


def claim(room: EngineRoom) -> tuple[UUID, Do]:
    run = room.start(DOCUMENT)
    node = room.node(run, "a").pk
    return run, lambda: attempts.take(node, room.worker)


def complete_and_go_on(room: EngineRoom) -> tuple[UUID, Do]:
    run = room.start(DOCUMENT)
    claim = room.claim(run, "a")
    return run, lambda: room.bring(claim, "brought")


@pytest.mark.parametrize("scene", [claim, complete_and_go_on], ids=lambda scene: scene.__name__)
def test_a_worker_that_broke_anywhere_and_goes_on_ends_the_run_in_the_same_way(
    room: EngineRoom, calls: Probes, scene: Scene
) -> None:
    calls["a"] = lambda task, ctx: "brought"
    for way in WAYS:
        for at in count(1):
            room.worker = room.another_worker()
            run, do = scene(room)
            reached = insist(do, at, way)
            take_back_strays(room)

            assert outcome_of(room, run) == ENDED, (at, way)
            if not reached:
                break


# ---- a submission, as a caller makes it: with a key, and again when there was no answer --------------------------


def test_a_submission_that_broke_anywhere_and_is_sent_again_makes_one_run(room: EngineRoom, calls: Probes) -> None:
    def submit(key: str) -> str:
        act = idempotency.Act("POST", "/v1/runs", {"workflow": "w"})
        made = idempotency.once(room.organization.pk, key, act, lambda: (202, {"id": str(room.start(DOCUMENT))}))
        return str(made.body["id"])  # type: ignore[index,call-overload]

    expected = state_of(UUID(submit("unbroken")))

    for way in WAYS:
        for at in count(1):
            key, before = str(uuid4()), runs()
            reached = insist(lambda key=key: submit(key), at, way)
            run = UUID(submit(key))

            assert runs() - before == {run}, (at, way)
            assert state_of(run) == expected, (at, way)
            if not reached:
                break


def test_a_submission_without_a_key_gets_over_a_lost_answer_by_itself(room: EngineRoom, calls: Probes) -> None:
    before = {room.start(DOCUMENT)}  # its version is known from here on, so what follows is the run alone

    with armed("commit_then_raise=raise:once"):
        run = room.start(DOCUMENT)

    assert runs() - before == {run}
    assert room.until_ended(run).status == "completed"


# ---- a schedule, fired again by whoever does it next -------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "outcomes"),
    [
        ({"catch_up": "all", "overlap": "allow"}, ["started"] * 3),
        ({"catch_up": "all", "overlap": "queue"}, ["started", "queued", "queued"]),
        ({"catch_up": "last", "version": 99}, ["refused"]),
    ],
    ids=["run", "queue", "refuse"],
)
def test_a_schedule_that_broke_anywhere_fires_each_time_once(
    room: EngineRoom, calls: Probes, plan: dict[str, Any], outcomes: list[str]
) -> None:
    version = plan.pop("version", None)
    for way in WAYS:
        for at in count(1):
            before = runs()
            schedule = room.schedule(DOCUMENT | {"name": "fired"}, name=f"{way} {at} {version}", cron="@yearly", **plan)
            with transaction() as tx:
                tx.execute(_MISSED, schedule=schedule.pk, version=version)
            reached = insist(lambda schedule=schedule: firing.fire_schedule(schedule.pk), at, way)

            fires = room.fires(schedule)
            assert [fire.outcome for fire in fires] == outcomes, (at, way)
            assert runs() - before == {fire.run_id for fire in fires if fire.outcome == "started"}, (at, way)
            if not reached:
                break


_MISSED = """
update workflows_schedule
set next_fire_at = date_trunc('year', clock_timestamp(), 'UTC') - interval '2 years',
    version = %(version)s::int
where id = %(schedule)s
"""


def insist(do: Do, at: int, way: str) -> bool:
    """Does it with a break, and then again, as the next request or the next round of a worker's loop does.

    Gives whether it came to the break; where it was over before, the break has been everywhere.
    """
    with suppress(*TRANSIENT), Breaking(at, way) as breaking:
        do()
    release_connection()
    patiently(do)
    return breaking.trips >= at


def take_back_strays(room: EngineRoom) -> None:
    """What the worker holds in the table and not in itself, as its loop does (worker/runtime.py)."""
    with transaction() as tx:
        held = questions.held_by(tx, room.worker.worker)
    here = room.worker.fences()
    recovery.take_back_stray(room.worker.worker, [place for place in held if place.node_run not in here])


def state_of(run: UUID) -> dict[str, list[dict[str, Any]]]:
    """Every row of a run, but for what is never the same twice: ids and times."""
    with transaction() as tx:
        return {name: tx.rows(sql, run=run) for name, sql in _STATE.items()}


def outcome_of(room: EngineRoom, run: UUID) -> dict[str, Any]:
    """What a run comes to when whoever still holds something of it is gone."""
    room.die_all()
    room.until_ended(run)
    return {
        "status": room.status(run),
        "output": room.output(run),
        "context": room.context(run),
        "completed": sorted(event.node for event in room.events(run, "node.completed")),
    }


def runs() -> set[UUID]:
    with transaction() as tx:
        return set(tx.values("select id from workflows_run"))
