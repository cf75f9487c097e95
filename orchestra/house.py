"""A real Orchestra in a home of its own, which is thrown away: PostgreSQL with fsync on, Valkey, the web and workers.

What `bin/up` runs, run by the same supervisor from the same programs, but in the hands of a program that measures it or
breaks it on purpose.
"""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from orchestra import embedded, prepare
from orchestra import settings as defaults
from orchestra.access import Access
from orchestra.programs import answers, fork_servers, web, worker
from orchestra.supervisor import Supervisor, Terminal, stop_left_behind
from orchestra.up import STOP_SIGNALS

FIRST_PORT = 18500
READY_SECONDS = 90.0
WEBS = range(1, defaults.ORCHESTRA_WEB_PROCESSES + 1)
SERVICES = frozenset({"postgres", "valkey"})

Around = Callable[[str, str], tuple[str, str]]


@dataclass
class House:
    """Everything that runs."""

    home: Path
    access: Access
    postgres: embedded.Postgres
    valkey: embedded.Valkey
    supervisor: Supervisor
    environment: dict[str, str]
    listener: socket.socket  # the web's, kept open for the one that starts after a death

    def start_workers(self, count: int) -> None:
        """Start so many workers, and return when they are ready."""
        before = self._registered()
        self.supervisor.start(*(worker(number, self.environment) for number in range(1, count + 1)))
        wait_until(lambda: self._registered() == before + count, "the workers are not ready")

    def stop_workers(self) -> None:
        """Leave what is queued alone."""
        self.supervisor.stop([name for name in self.supervisor.children if name.startswith("worker")])

    def pid(self, name: str) -> int | None:
        """Give the present process of a program; None while there is none."""
        child = self.supervisor.children.get(name)
        return child.process.pid if child and child.running and child.process else None

    def _registered(self) -> int:
        from apps.workflows.models import Worker  # noqa: PLC0415 - it needs Django

        return Worker.objects.count()


def directly(database_url: str, redis_url: str) -> tuple[str, str]:
    """Nothing stands in between."""
    return database_url, redis_url


@contextmanager
def running_house(
    homes: Path, *, workers: int, settings: Mapping[str, str] | None = None, around: Around = directly
) -> Iterator[House]:
    """One that is ready for work; nothing of it is left afterwards.

    Its processes have `settings` in their environment beside the defaults. `around` gives the addresses under which
    they find PostgreSQL and Redis, where something stands in between.
    """
    clear(homes)
    home = homes / str(os.getpid())
    home.mkdir(parents=True)
    with (home / "log").open("w") as log:
        supervisor = Supervisor(home / "processes.json", Terminal(log))
        try:
            house = _furnished(home, supervisor, dict(settings or {}), around)
            house.start_workers(workers)
            yield house
        except Exception:
            print((home / "log").read_text()[-5000:])  # noqa: T201 - the last words of what is thrown away
            raise
        finally:
            supervisor.stop(supervisor.children.keys() - SERVICES)
            supervisor.stop(SERVICES & supervisor.children.keys())
            (home / "log").replace(homes / "log")  # of the last session, for who asks why
            remove(home)


def clear(homes: Path) -> None:
    """End and remove what sessions left that were killed."""
    for other in homes.iterdir() if homes.exists() else ():
        if other.name.isdigit() and not psutil.pid_exists(int(other.name)):
            stop_left_behind(other / "processes.json", STOP_SIGNALS)
            remove(other)


def remove(home: Path) -> None:
    """Delete a home and the state of its services."""
    embedded.remove_state(home)
    shutil.rmtree(home)


def _furnished(home: Path, supervisor: Supervisor, settings: dict[str, str], around: Around) -> House:
    postgres, valkey = embedded.prepare_postgres(home), embedded.prepare_valkey(home)
    supervisor.start(postgres.program, valkey.program)
    for server in (postgres, valkey):
        server.wait_ready()
    postgres.provision()
    prepare.point_django_at(postgres.url, valkey.url)
    prepare.migrate()
    listener = embedded.listen(FIRST_PORT)
    port = listener.getsockname()[1]
    access = prepare.renew_access(home, f"http://127.0.0.1:{port}", own_database=True)
    environment = _environment(home, *around(postgres.url, valkey.url)) | settings | {"ORCHESTRA_PORT": str(port)}
    supervisor.start_fork_servers(partial(fork_servers, environment=environment))
    supervisor.start(*(web(number, listener, environment) for number in WEBS))
    wait_until(lambda: answers(f"{access.url}/health"), "the web does not answer")
    return House(home, access, postgres, valkey, supervisor, environment, listener)


def _environment(home: Path, database_url: str, redis_url: str) -> dict[str, str]:
    """That of this process without its own ORCHESTRA_ variables, so that the defaults are what runs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
    return inherited | {
        "DJANGO_SETTINGS_MODULE": "orchestra.settings",
        "ORCHESTRA_HOME": str(home),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PYTHONUNBUFFERED": "1",
    }


def wait_until(condition: Callable[[], object], what: str, seconds: float = READY_SECONDS) -> None:
    """Return once the condition holds."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"After {seconds:.0f} s {what}.")
        time.sleep(0.05)
