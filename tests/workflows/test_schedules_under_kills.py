"""B10: three processes fire schedules, one of them is killed every second, and each time has exactly one run."""

import os
import subprocess
import sys

import pytest
from django.db import connection

from apps.workflows.models import Run, Schedule, ScheduleFire
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom

SCHEDULES = 30  # each fires every second
TICKS = 300
ONE = workflow({"a": {"type": "set"}}, name="tick")


@pytest.mark.timeout(180)
def test_three_schedulers_of_which_one_is_killed_every_second_fire_each_time_once(
    room: EngineRoom, redis_url: str, database_url: str
) -> None:
    names = [f"tick {number}" for number in range(SCHEDULES)]
    planned = [room.schedule(ONE, name=name, cron="* * * * * *", overlap="allow") for name in names]

    kills = kill_schedulers(database_url, redis_url)

    with room.scope():
        for schedule in planned:
            assert_each_second_once(room, schedule)
        fired = ScheduleFire.objects.count()
        assert Run.objects.filter(trigger="schedule").count() == fired
    assert (fired >= TICKS, kills >= 5) == (True, True), (fired, kills)


def kill_schedulers(database_url: str, redis_url: str) -> int:
    server, _, _ = database_url.rpartition("/")
    own = {"DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}", "REDIS_URL": redis_url}
    command = [sys.executable, "-m", "tests.workflows.schedulers", str(TICKS)]
    done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def assert_each_second_once(room: EngineRoom, schedule: Schedule) -> None:
    """Every second from its first time on has a fire, and each has a run of its own."""
    fires = room.fires(schedule, "started")
    first = schedule.next_fire_at
    following = Schedule.objects.get(pk=schedule.pk).next_fire_at
    assert first is not None
    assert following is not None
    assert [(fire.scheduled_for - first).total_seconds() for fire in fires] == list(range(len(fires)))
    assert len({fire.run.pk for fire in fires if fire.run}) == len(fires)
    assert (following - first).total_seconds() == len(fires)
