"""Three processes that do nothing but fire schedules; each second one of them is killed, and another begins.

A parent that has everything imported forks them: they fire at once, and not after the seconds that a start takes.
It goes on until the table holds as many fires as it was told, and prints how many it has killed.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable

import django
import psycopg

PROCESSES = 3
KILL_SECONDS = 1.0
REST_SECONDS = 0.02
PATIENCE_SECONDS = 90.0


def begin(fire: Callable[[], object]) -> int:
    """A process that fires; gives its id."""
    if pid := os.fork():
        return pid
    while True:
        fire()
        time.sleep(REST_SECONDS)


def end(pid: int) -> None:
    """Kill it in the middle of whatever it does."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def fires() -> int:
    """How many times have been fired; on a connection that no fork shares."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute("select count(*) from workflows_schedulefire").fetchone()
        return int(row[0]) if row else 0


def rage(fire: Callable[[], object], wanted: int) -> int:
    """Kill one every second until enough has been fired; gives how many were killed."""
    kills, chance, ends = 0, random.Random(0), time.monotonic() + PATIENCE_SECONDS
    running = [begin(fire) for _ in range(PROCESSES)]
    try:
        while fires() < wanted and time.monotonic() < ends:
            time.sleep(KILL_SECONDS)
            end(running.pop(chance.randrange(PROCESSES)))
            running.append(begin(fire))
            kills += 1
    finally:
        for pid in running:
            end(pid)
    return kills


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")
    django.setup()

    from apps.workflows.services.firing import fire_schedules

    sys.stdout.write(f"{rage(fire_schedules, int(sys.argv[1]))}\n")
