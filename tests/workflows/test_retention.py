"""Runs that ended long ago leave, and nothing of them stays behind (R19)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.apps import apps
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection
from django_scopes import scopes_disabled

from apps.observability.models import LogLine
from apps.workflows.models import Effect, NodeRun, Run
from apps.workflows.services import retention
from apps.workflows.services.retention import Forgotten, forget_old_runs
from apps.workflows.services.unknown_effects import decide_effect
from apps.workflows.store.database import connection_parameters
from apps.workflows.store.retention import _DELETIONS
from apps.workflows.worker.runtime import WorkerRuntime
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import Probes, probe

AT_ONCE = timedelta(0)
# What a run does not own: who it is for, its definition, and values that others may share.
_NOT_OF_RUNS = (
    "accounts_", "auth_", "django_", "workflows_workflow", "workflows_workflowversion", "workflows_worker",
    "workflows_blob",
)  # fmt: skip


def rows_left() -> dict[str, int]:
    """How many rows each table holds that is about runs."""
    with connection.cursor() as cursor:
        counts = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"select count(*) from {table}")  # noqa: S608
            counts[table] = cursor.fetchone()[0]
    return {table: count for table, count in counts.items() if count and not table.startswith(_NOT_OF_RUNS)}


def exists(run: UUID) -> bool:
    with scopes_disabled():
        return Run.objects.filter(pk=run).exists()


def with_everything(room: EngineRoom, calls: Probes) -> UUID:
    """A run that ended and has rows of every kind."""

    def talk(task: Any, ctx: Any) -> Any:
        ctx.log.info("Here I am.")
        return ctx.step("think", lambda: task)

    calls["talk"] = talk
    room.save(workflow({"inner": {"values": {"v": 1}}}, name="child"))
    nodes = {
        "talk": probe("talk", input=1, save={"said": "{{ output }}"}),
        "each": {"type": "map", "over": [1, 2], "node": probe("item")},
        "call": {"type": "workflow", "workflow": "child"},
        "ask": {"type": "approval", "message": "?"},
        "go": {"type": "wait", "event": "go"},
        "send": {
            "type": "tool",
            "tool": "outbox.send",
            "input": {"to": "ana@example.com", "subject": "x", "body": "y"},
        },
    }
    run = room.start(workflow(nodes, context={"said": {}}))
    room.signal(run, "go")
    room.work()
    room.decide(run, "approve")
    assert room.until_ended(run).status == "completed"
    return run


def test_an_old_run_leaves_with_everything_that_belongs_to_it(room: EngineRoom, calls: Probes) -> None:
    with_everything(room, calls)
    kinds = rows_left()
    assert {"workflows_journalentry", "workflows_approval", "workflows_signal", "workflows_effect"} <= kinds.keys()
    assert LogLine.objects.model._meta.db_table in kinds

    done = forget_old_runs(AT_ONCE)

    assert done == Forgotten(runs=2)
    assert rows_left().keys() <= {"integrations_outboxmessage"}


def test_every_table_that_points_to_a_run_is_seen_to() -> None:
    # What was sent stays for people to see, and what models have cost for the books.
    seen_to = " ".join(_DELETIONS) + "integrations_outboxmessage observability_usage"

    for model in apps.get_models():
        pointers = {field.related_model for field in model._meta.fields if field.is_relation}
        if pointers & {Run, NodeRun} or {"run_id", "node_run_id"} & {field.name for field in model._meta.fields}:
            assert model._meta.db_table in seen_to


def test_a_run_that_ended_lately_or_goes_on_stays(room: EngineRoom, calls: Probes) -> None:
    lately = room.finish(workflow({"a": probe("a")})).pk
    goes_on = room.start(workflow({"a": {"type": "wait", "event": "x"}}))
    room.work()

    assert forget_old_runs(timedelta(minutes=30)) == Forgotten()
    assert forget_old_runs(AT_ONCE) == Forgotten(runs=1)

    assert (exists(lately), exists(goes_on)) == (False, True)


def test_a_child_run_leaves_with_its_parent_and_not_before(room: EngineRoom) -> None:
    room.save(workflow({"inner": {"values": {"v": 1}}}, name="child"))
    nodes = {"c": {"type": "workflow", "workflow": "child"}, "w": {"type": "wait", "event": "x"}}
    parent = room.start(workflow(nodes, ["c w"]))
    room.work()
    (child,) = room.children(parent)
    assert child.status == "completed"

    assert forget_old_runs(AT_ONCE) == Forgotten()
    room.signal(parent, "x")
    room.work()

    assert forget_old_runs(AT_ONCE) == Forgotten(runs=2)
    assert not exists(child.pk)


def test_a_run_whose_child_still_goes_on_stays(room: EngineRoom) -> None:
    room.save(workflow({"w": {"type": "wait", "event": "x"}}, name="child"))
    parent = room.start(workflow({"c": {"type": "workflow", "workflow": "child"}}))
    room.work()
    with connection.cursor() as cursor:  # the parent has ended, and nobody has told the child yet
        cursor.execute(
            "update workflows_run set status = 'failed', finished_at = clock_timestamp() where id = %s", [parent]
        )

    assert forget_old_runs(AT_ONCE) == Forgotten(kept=1)


def test_a_fork_stays_and_works_when_its_origin_leaves(room: EngineRoom, calls: Probes) -> None:
    origin = room.finish(workflow({"a": probe("a", input=1), "b": probe("b", input="{{ nodes.a.output }}")}, ["a b"]))
    fork = room.fork(origin.pk, "b")

    assert forget_old_runs(AT_ONCE) == Forgotten(runs=1)

    assert room.run(fork).forked_from_id is None
    assert room.output(room.until_ended(fork)) == {"b": 1}
    assert calls.calls["a"] == 1


def test_an_effect_that_nobody_has_decided_on_keeps_its_run(room: EngineRoom, calls: Probes) -> None:
    run = room.start(workflow({"a": probe("a", idempotent=False)}))
    room.claim(run, "a")
    room.die()

    assert forget_old_runs(AT_ONCE) == Forgotten(kept=1)
    with room.scope():
        decide_effect(Effect.objects.get(run=run), decision="fail", by="user:ana")

    assert forget_old_runs(AT_ONCE) == Forgotten(runs=1)


@contextmanager
def another_session() -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(**connection_parameters()) as session:
        yield session


def test_a_run_that_somebody_works_on_is_passed_over(room: EngineRoom, calls: Probes) -> None:
    held, free = (room.finish(workflow({"a": probe("a")})).pk for _ in range(2))
    with another_session() as session:
        session.execute("select from workflows_run where id = %s for update", [held])

        assert forget_old_runs(AT_ONCE) == Forgotten(runs=1)

    assert (exists(held), exists(free)) == (True, False)


def test_work_goes_on_beside_a_deletion(room: EngineRoom, calls: Probes, monkeypatch: pytest.MonkeyPatch) -> None:
    old = room.finish(workflow({"a": probe("a")})).pk
    delete = retention.retention.delete
    beside: list[str] = []

    def work() -> str:
        try:
            return room.finish(workflow({"a": probe("a"), "b": probe("b")}, ["a b"])).status
        finally:
            connection.close()

    def delete_and_work(*given: Any) -> None:
        delete(*given)
        with ThreadPoolExecutor(1) as other:  # the deletion is not committed yet
            beside.append(other.submit(work).result(timeout=30))

    monkeypatch.setattr(retention.retention, "delete", delete_and_work)

    assert forget_old_runs(AT_ONCE).runs == 1
    assert (exists(old), beside) == (False, ["completed"])


def test_many_runs_leave_in_several_short_transactions(
    room: EngineRoom, monkeypatch: pytest.MonkeyPatch, calls: Probes
) -> None:
    monkeypatch.setattr(retention, "BATCH", 20)
    monkeypatch.setattr(retention, "LOOK", 3)
    for _ in range(7):
        room.finish(workflow({"a": probe("a")}))
    allowed = iter([True, True, False])

    assert 0 < forget_old_runs(AT_ONCE, go_on=lambda: next(allowed)).runs < 7
    forget_old_runs(AT_ONCE)

    assert rows_left() == {}


def test_the_command_counts_before_it_deletes(
    room: EngineRoom, calls: Probes, capsys: pytest.CaptureFixture[str], settings: LazySettings
) -> None:
    run = room.finish(workflow({"a": probe("a")})).pk

    call_command("retention", "--days", "0", "--dry-run", "--json")
    assert '"would_be_deleted":1' in capsys.readouterr().out
    assert exists(run)

    settings.ORCHESTRA_RETENTION_DAYS = 0
    call_command("retention")
    assert exists(run)

    call_command("retention", "--days", "0")
    assert not exists(run)


@pytest.mark.parametrize(("leads", "days", "stays"), [(True, 30, False), (False, 30, True), (True, 0, True)])
def test_the_worker_that_leads_tidies(
    room: EngineRoom, calls: Probes, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, leads: bool, days: int,
    stays: bool,
) -> None:  # fmt: skip
    run = room.finish(workflow({"a": probe("a")})).pk
    settings.ORCHESTRA_RETENTION_DAYS = days
    monkeypatch.setattr("apps.workflows.worker.runtime.timedelta", lambda days: timedelta(days=days - 30))
    worker = WorkerRuntime(slots=1)
    worker.liveness.leads = leads

    worker._tidy()

    assert exists(run) == stays
