"""A real Orchestra in a home of its own: PostgreSQL with fsync on, Valkey, the web and workers."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from apps.workflows.models import Worker
from orchestra import embedded, prepare
from orchestra.access import Access
from orchestra.programs import answers, web, worker
from orchestra.settings import BASE_DIR
from orchestra.supervisor import Program, Supervisor, Terminal, stop_left_behind
from orchestra.up import STOP_SIGNALS

HOMES = BASE_DIR / ".orchestra" / "benchmarks"  # on the disk that the product would use
FIRST_PORT = 18500
READY_SECONDS = 60.0


@dataclass
class House:
    """Everything that runs."""

    home: Path
    access: Access
    postgres: embedded.Postgres
    valkey: embedded.Valkey
    supervisor: Supervisor
    environment: dict[str, str]

    def start_workers(self, count: int) -> None:
        """Start so many workers, and return when they are ready."""
        before = Worker.objects.count()
        self.supervisor.start(*(worker(number, self.environment) for number in range(1, count + 1)))
        wait_until(lambda: Worker.objects.count() == before + count, "the workers are not ready")

    def stop_workers(self) -> None:
        """Leave what is queued alone."""
        self.supervisor.stop([name for name in self.supervisor.children if name.startswith("worker")])

    def worker_cpu(self) -> float:
        """The processor seconds that the workers have used so far."""
        workers = [child for name, child in self.supervisor.children.items() if name.startswith("worker")]
        times = [psutil.Process(child.process.pid).cpu_times() for child in workers if child.process]
        return float(sum(time.user + time.system for time in times))


@contextmanager
def running_house(slots: int, workers: int) -> Iterator[House]:
    """One that is ready for work; nothing of it is left afterwards."""
    HOMES.mkdir(parents=True, exist_ok=True)
    for other in HOMES.iterdir():
        if not psutil.pid_exists(int(other.name)):  # that session was killed
            stop_left_behind(other / "processes.json", STOP_SIGNALS)
            _remove(other)
    home = HOMES / str(os.getpid())
    home.mkdir()
    with (home / "log").open("w") as log:
        supervisor = Supervisor(home / "processes.json", Terminal(log))
        try:
            house = _furnished(home, supervisor, slots)
            house.start_workers(workers)
            yield house
        except BaseException:
            print((home / "log").read_text()[-5000:])
            raise
        finally:
            services = {"postgres", "valkey"}
            supervisor.stop([name for name in supervisor.children if name not in services])
            supervisor.stop(services & supervisor.children.keys())
            _remove(home)


def _remove(home: Path) -> None:
    embedded.remove_state(home)
    shutil.rmtree(home)


def _furnished(home: Path, supervisor: Supervisor, slots: int) -> House:
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
    environment = _environment(home, postgres.url, valkey.url, slots)
    supervisor.start(web(listener, environment | {"ORCHESTRA_PORT": str(port)}))
    wait_until(lambda: answers(f"{access.url}/health"), "the web does not answer")
    return House(home, access, postgres, valkey, supervisor, environment)


def _environment(home: Path, database_url: str, redis_url: str, slots: int) -> dict[str, str]:
    """That of this process without its own ORCHESTRA_ variables: the defaults are what is measured."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
    return inherited | {
        "DJANGO_SETTINGS_MODULE": "orchestra.settings",
        "ORCHESTRA_HOME": str(home),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ORCHESTRA_CONCURRENCY": str(slots),
    }


@contextmanager
def also_running(house: House, program: Program) -> Iterator[None]:
    """A further program, until the block ends."""
    house.supervisor.start(program)
    try:
        yield
    finally:
        house.supervisor.stop([program.name])


def wait_until(condition: Callable[[], object], what: str, seconds: float = READY_SECONDS) -> None:
    """Return once the condition holds."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"After {seconds:.0f} s {what}.")
        time.sleep(0.05)
