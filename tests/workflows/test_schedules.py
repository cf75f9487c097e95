"""Schedules: each time fires once, whoever fires it, and what becomes of missed times and of runs that take long."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import Organization
from apps.common import failpoints
from apps.workflows.models import Run, Schedule, ScheduleFire
from apps.workflows.services import firing, recovery, schedules
from apps.workflows.services.firing import fire_schedule, fire_schedules
from apps.workflows.services.versions import archive_workflow
from apps.workflows.store.database import transaction
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom

ONE = workflow({"a": {"values": {"n": "{{ inputs.n }}"}}}, name="nightly")
LONG = workflow({"w": {"type": "wait", "event": "go"}}, name="long")
WITH_SCHEMA = ONE | {"inputs": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}}
EACH_SECOND = "* * * * * *"
HOUR = 3600


def again(schedule: Schedule) -> Schedule:
    """The schedule as it is now."""
    return Schedule.objects.select_related("workflow").get(pk=schedule.pk)


@pytest.fixture(autouse=True)
def scoped(room: EngineRoom) -> Iterator[None]:
    with room.scope():
        yield


def outcomes(room: EngineRoom, schedule: Schedule) -> list[str]:
    return [fire.outcome for fire in room.fires(schedule)]


# ---- once ---------------------------------------------------------------------------------------------------------


def test_a_time_that_has_come_starts_a_run_that_names_its_schedule(room: EngineRoom) -> None:
    schedule = room.schedule(ONE, input={"n": 7})
    room.make_late(schedule, HOUR)

    assert recovery.recover(10.0)["schedules_due"] == 1

    (fire,) = room.fires(schedule)
    run = room.until_ended(fire.run_id)  # type: ignore[arg-type]
    assert (run.trigger, run.created_by, room.output(run)) == ("schedule", "schedule:nightly", {"a": {"n": 7}})
    assert run.labels["scheduled_for"] == f"{fire.scheduled_for:%Y-%m-%dT%H:%M:%SZ}"


def test_nothing_fires_before_its_time_or_twice(room: EngineRoom) -> None:
    schedule = room.schedule(ONE, cron="0 0 1 1 *")
    assert fire_schedules() == 0
    room.make_late(schedule, 1)
    with connection.cursor() as cursor:  # its own time, and not one that the expression does not have
        cursor.execute("update workflows_schedule set cron = %s", [EACH_SECOND])

    fire_schedules()
    before = len(room.fires(schedule))
    with connection.cursor() as cursor:  # as if the commit of the next time had been lost
        cursor.execute(
            "update workflows_schedule set next_fire_at = (select min(scheduled_for) from"
            " workflows_schedulefire), cron = '0 0 1 1 *'"
        )
    fire_schedules()

    assert before >= 1
    assert len(room.fires(schedule)) == before
    assert Run.objects.count() == len(room.fires(schedule, "started"))


def test_any_number_of_schedulers_fire_each_time_once(room: EngineRoom) -> None:
    schedule = room.schedule(ONE, cron=EACH_SECOND, overlap="allow")
    begin = threading.Barrier(4, action=lambda: room.make_late(schedule, 30))

    def fire() -> None:
        fire_schedules()  # so that each has its connection, and all begin at one moment
        begin.wait(30)
        for _ in range(10):
            fire_schedules()
        connection.close()

    threads = [threading.Thread(target=fire) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    fires = room.fires(schedule)
    seconds = [round(fire.scheduled_for.timestamp()) for fire in fires]
    assert seconds == list(range(seconds[0], seconds[0] + len(fires)))
    assert len(fires) >= 31
    assert Run.objects.count() == len(fires)


def test_a_commit_whose_answer_is_lost_fires_once(room: EngineRoom) -> None:
    schedule = room.schedule(ONE, cron="* * * * *", catch_up="last")
    room.make_late(schedule, HOUR)

    with failpoints.armed("commit_then_raise=raise:once"):
        fire_schedule(schedule.pk)
    fire_schedules()

    assert len(room.fires(schedule)) == Run.objects.count() == 1


# ---- missed times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("catch_up", "runs"), [("last", 1), ("all", 10)])
def test_of_missed_times_as_many_run_as_the_policy_says(room: EngineRoom, catch_up: str, runs: int) -> None:
    schedule = room.schedule(ONE, catch_up=catch_up, overlap="allow")
    room.make_late(schedule, HOUR)

    fire_schedules()

    fires = room.fires(schedule)
    assert len(fires) == Run.objects.count() == runs
    latest = max(fire.scheduled_for for fire in fires)
    assert 0 <= (again(schedule).next_fire_at - latest).total_seconds() <= 60  # type: ignore[operator]


def test_missed_times_are_left_out_where_nobody_wants_them(room: EngineRoom) -> None:
    schedule = room.schedule(ONE, cron="0 0 1 1 *", catch_up="none")
    room.make_late(schedule, 400 * 86_400)

    fire_schedules()

    assert room.fires(schedule) == []
    assert again(schedule).enabled


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
def test_a_time_that_is_fired_a_little_late_was_not_missed(room: EngineRoom, catch_up: str) -> None:
    schedule = room.schedule(ONE, cron=EACH_SECOND, catch_up=catch_up, overlap="allow")
    room.make_late(schedule, 30)

    fire_schedules()

    assert len(room.fires(schedule, "started")) >= 31


# ---- runs that take long ------------------------------------------------------------------------------------------


def test_a_time_is_skipped_while_the_run_before_goes_on_and_no_longer(room: EngineRoom) -> None:
    schedule = room.schedule(LONG, cron=EACH_SECOND, overlap="skip")
    room.make_late(schedule, 3)

    fire_schedules()
    (first,) = room.fires(schedule, "started")
    skipped = room.fires(schedule, "skipped")
    room.cancel(first.run_id)  # type: ignore[arg-type]
    ScheduleFire.objects.filter(outcome="skipped").delete()  # so that the second need not pass for the next time
    room.make_late(schedule, 0)
    fire_schedules()

    assert len(skipped) >= 3
    assert {fire.reason for fire in skipped} == {"The run before still goes on."}
    assert len(room.fires(schedule, "started")) == 2


def test_a_time_waits_until_the_run_before_has_ended(room: EngineRoom) -> None:
    schedule = room.schedule(LONG, cron=EACH_SECOND, overlap="queue")
    room.make_late(schedule, 2)
    fire_schedules()
    freeze(schedule)
    waiting = len(room.fires(schedule, "queued"))
    (first,) = room.fires(schedule, "started")
    fire_schedules()
    assert (outcomes(room, schedule)[0], waiting >= 2) == ("started", True)
    assert len(room.fires(schedule, "queued")) == waiting

    room.cancel(first.run_id)  # type: ignore[arg-type]
    fire_schedules()
    fire_schedules()

    assert [fire.outcome for fire in room.fires(schedule)[:3]] == ["started", "started", "queued"]


def test_no_more_than_ten_wait(room: EngineRoom) -> None:
    schedule = room.schedule(LONG, cron=EACH_SECOND, overlap="queue")
    room.make_late(schedule, 20)

    fire_schedules()

    assert outcomes(room, schedule)[:12] == ["started", *["queued"] * 10, "skipped"]


def test_runs_of_one_schedule_go_on_beside_each_other_where_that_is_wanted(room: EngineRoom) -> None:
    schedule = room.schedule(LONG, cron=EACH_SECOND, overlap="allow")
    room.make_late(schedule, 4)

    fire_schedules()

    assert set(outcomes(room, schedule)) == {"started"}
    assert Run.objects.filter(status="pending").count() >= 5


def test_a_run_that_was_deleted_holds_nothing_up(room: EngineRoom) -> None:
    schedule = room.schedule(LONG, cron=EACH_SECOND, overlap="skip")
    firing.fire_now(schedule.pk, by="test")
    with connection.cursor() as cursor:
        cursor.execute("delete from workflows_noderun; delete from workflows_runevent; delete from workflows_run")
    room.make_late(schedule, 0)

    fire_schedules()

    assert {fire.fired_by for fire in room.fires(schedule, "started")} == {"test", ""}


# ---- what cannot run ----------------------------------------------------------------------------------------------


def gone(schedule: Schedule) -> None:
    archive_workflow(schedule.workflow)


def version_gone(schedule: Schedule) -> None:
    Schedule.objects.filter(pk=schedule.pk).update(version=99)


def input_refused(schedule: Schedule) -> None:
    Schedule.objects.filter(pk=schedule.pk).update(input={"n": "seven"})


REASONS = [
    (gone, "The workflow 'nightly' is archived."),
    (version_gone, "'nightly' has no version 99."),
    (input_refused, "/input/n"),
]


@pytest.mark.parametrize(("change", "reason"), REASONS, ids=lambda one: getattr(one, "__name__", None))
def test_a_schedule_that_cannot_run_is_paused_with_the_reason_and_the_others_go_on(
    room: EngineRoom, change: Any, reason: str
) -> None:
    broken = room.schedule(WITH_SCHEMA, input={"n": 1}, cron=EACH_SECOND)
    other = room.schedule(LONG)
    change(broken)
    room.make_late(broken, 5)
    room.make_late(other, HOUR)

    fire_schedules()

    (refused,) = room.fires(broken)
    paused = again(broken)
    assert (refused.outcome, refused.run_id, paused.enabled, paused.next_fire_at) == ("refused", None, False, None)
    assert reason in refused.reason
    assert paused.paused_reason == refused.reason
    assert outcomes(room, other) == ["started"]


def test_a_schedule_that_breaks_the_engine_itself_is_paused_and_the_others_go_on(
    room: EngineRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = room.schedule(ONE), room.schedule(LONG)
    for schedule in (broken, other):
        room.make_late(schedule, HOUR)
    real = firing.times_to_fire

    def break_down(schedule: Any) -> Any:
        return 1 // 0 if schedule.id == broken.pk else real(schedule)

    monkeypatch.setattr(firing, "times_to_fire", break_down)

    fire_schedules()

    assert again(broken).paused_reason == "It could not be fired: ZeroDivisionError: integer division or modulo by zero"
    assert (outcomes(room, broken), outcomes(room, other)) == ([], ["started"])


def test_a_paused_schedule_goes_on_from_its_next_time_when_it_is_resumed(room: EngineRoom) -> None:
    schedule = room.schedule(ONE, cron="0 0 1 1 *", catch_up="all")
    schedules.pause_schedule(schedule)
    assert fire_schedules() == 0

    resumed = schedules.resume_schedule(schedule)

    assert resumed.enabled
    assert fire_schedules() == 0
    assert room.fires(schedule) == []


def test_what_waits_does_not_begin_after_a_pause(room: EngineRoom) -> None:
    schedule = room.schedule(LONG, cron=EACH_SECOND, overlap="queue")
    room.make_late(schedule, 2)
    fire_schedules()
    (first,) = room.fires(schedule, "started")

    schedules.pause_schedule(schedule)
    room.cancel(first.run_id)  # type: ignore[arg-type]
    fire_schedules()

    assert (len(room.fires(schedule, "started")), len(room.fires(schedule, "queued"))) == (1, 0)


def test_the_published_version_runs_unless_one_is_named(room: EngineRoom) -> None:
    newest, first = room.schedule(ONE, name="newest"), room.schedule(ONE, name="first", version=1)
    room.save(ONE | {"nodes": {"b": {"type": "set"}}})
    for schedule in (newest, first):
        room.make_late(schedule, HOUR)

    fire_schedules()

    runs = [room.run(room.fires(schedule)[0].run_id) for schedule in (newest, first)]  # type: ignore[arg-type]
    assert [run.version.number for run in runs] == [2, 1]


def test_a_schedule_is_fired_for_its_own_organization(room: EngineRoom, other_organization: Organization) -> None:
    elsewhere = EngineRoom(other_organization)
    schedule = elsewhere.schedule(ONE)
    elsewhere.make_late(schedule, HOUR)

    fire_schedules()

    assert Run.objects.count() == 0
    (fire,) = elsewhere.fires(schedule)
    assert elsewhere.run(fire.run_id).organization_id == other_organization.pk  # type: ignore[arg-type]


def test_what_came_of_times_long_ago_is_forgotten_and_what_goes_on_is_not(room: EngineRoom) -> None:
    over, going_on = room.schedule(ONE), room.schedule(LONG)
    for schedule in (over, going_on):
        firing.fire_now(schedule.pk, by="test")
    with connection.cursor() as cursor:
        cursor.execute(
            "update workflows_schedulefire set is_open = schedule_id = %s,"
            " created_at = created_at - interval '91 days'",
            [going_on.pk],
        )

    assert firing.forget_old_fires() == 1

    assert (len(room.fires(over)), len(room.fires(going_on))) == (0, 1)


def freeze(schedule: Schedule) -> None:
    """No further time comes."""
    with transaction() as tx:
        tx.execute("update workflows_schedule set next_fire_at = '2999-01-01Z' where id = %(id)s", id=schedule.pk)
