"""The verdict of `manage.py chaos` sees what it is there to see, and its plans can be had again."""

from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo

from apps.workflows.models import Attempt, RunEvent
from apps.workflows.services import attempts
from orchestra.chaos import plan, work
from orchestra.chaos.load import Submitted
from orchestra.chaos.verdict import Happening, Rows, Verdict, quantile
from tests.workflows.engine_room import EngineRoom


def rows() -> Rows:
    parameters = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    return Rows(make_conninfo(**{name: parameters[name] for name in names}))


def judged(accepted: dict[int, UUID], happenings: tuple[Happening, ...] = ()) -> Verdict:
    submitted = Submitted(accepted={number: str(run) for number, run in accepted.items()})
    return rows().judge(submitted, happenings)


@pytest.fixture
def run(room: EngineRoom) -> UUID:
    """A run of six nodes that went well, submitted as number 1."""
    run = begin(room, 1)
    assert room.until_ended(run).status == "completed"
    return run


def begin(room: EngineRoom, number: int, label: int | None = None) -> UUID:
    given = {"number": number, "delay": 0}
    return room.start(work.six_nodes(), given, labels={"number": str(label or number)})


def test_a_run_that_went_well_is_harmless(run: UUID) -> None:
    verdict = judged({1: run})

    assert verdict.harmless
    assert (verdict.completed, verdict.attempts) == (1, {"completed": work.NODES})


def test_a_run_that_has_not_ended_or_is_not_there_is_lost(room: EngineRoom) -> None:
    pending, unknown = begin(room, 1), uuid4()

    assert judged({1: pending, 2: unknown}).lost == sorted([str(pending), str(unknown)])


def test_a_second_accepted_completion_is_seen(run: UUID, room: EngineRoom) -> None:
    Attempt.objects.create(node_run=room.node(run, "join"), fence=99, worker=uuid4(), outcome="completed")

    assert judged({1: run}).duplicated == [f"run {run}: join #1[-1]"]


def test_a_node_that_started_again_after_its_end_is_seen(run: UUID, room: EngineRoom) -> None:
    Attempt.objects.create(node_run=room.node(run, "last"), fence=99, worker=uuid4(), outcome="lost")

    assert judged({1: run}).repeated == [f"run {run}: last #1[-1]"]


def test_a_gap_in_a_history_is_seen(run: UUID) -> None:
    RunEvent.objects.filter(run=run, seq=3).delete()

    (broken,) = judged({1: run}).broken
    assert str(run) in broken


def test_another_output_is_seen(room: EngineRoom) -> None:
    run = begin(room, 1, label=2)
    room.until_ended(run)

    (wrong,) = judged({2: run}).wrong
    assert str(run) in wrong


def test_one_submit_that_made_two_runs_is_seen(run: UUID, room: EngineRoom) -> None:
    again = begin(room, 1)
    room.until_ended(again)

    assert len(judged({1: run}).duplicated) == 1


def test_the_time_to_the_next_attempt_counts_from_the_fault(room: EngineRoom) -> None:
    run = begin(room, 1)
    worker = room.another_worker()
    attempts.take(room.node(run, "first").pk, worker)
    room.die(worker)
    room.until_ended(run)
    with psycopg.connect(rows().database_url) as database:
        database.execute("update workflows_worker set pid = 4711 where id = %s", [worker.worker])
    first, second = Attempt.objects.filter(node_run=room.node(run, "first")).order_by("fence")

    verdict = judged({1: run}, (Happening(first.started_at.timestamp(), "kill", "worker1", 4711),))

    assert verdict.harmless
    assert verdict.resumed["kill"] == pytest.approx([(second.started_at - first.started_at).total_seconds()], abs=1e-3)


def test_the_same_seed_makes_the_same_plan() -> None:
    def planned(seed: int) -> list[plan.Step]:
        return plan.plan(seed, 100, 1.0, processes=["web", "worker1"], faults=plan.MIXED, lease=10)

    assert planned(1) == planned(1) != planned(2)
    assert {step.fault for step in planned(1)} == set(plan.MIXED)
    assert all(before.at < after.at for before, after in zip(planned(1), planned(1)[1:], strict=False))


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile([], 0.5) is None
