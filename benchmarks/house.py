"""The Orchestra that is measured, with the defaults of the product."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from django.conf import settings as django

from benchmarks import talker
from benchmarks.peers.process import end_left_behind
from orchestra import house, prepare
from orchestra.house import House, wait_until
from orchestra.settings import BASE_DIR
from orchestra.supervisor import Program

__all__ = [
    "House",
    "also_running",
    "memory",
    "memory_of",
    "restart_workers",
    "running_house",
    "wait_until",
    "worker_cpu",
]

HOMES = BASE_DIR / ".orchestra" / "benchmarks"  # on the disk that the product would use


@contextmanager
def running_house(slots: int, workers: int) -> Iterator[House]:
    """One that is ready for work; nothing of it is left afterwards."""
    for other in HOMES.glob("[0-9]*"):
        if not psutil.pid_exists(int(other.name)):
            end_left_behind(other)
    prepare.collect_static_files()
    settings = {
        "ORCHESTRA_CONCURRENCY": str(slots),
        "ORCHESTRA_EGRESS_ALLOW": talker.ADDRESS,
        "STATIC_ROOT": str(django.STATIC_ROOT),
    }
    with house.running_house(HOMES, workers=workers, settings=settings) as running:
        running.postgres.provision(createdb=True)  # for the databases of the peers
        yield running


def restart_workers(running: House, count: int) -> float:
    """So many workers that have done nothing yet; gives the seconds until they were ready."""
    running.stop_workers()
    began = time.perf_counter()
    running.start_workers(count)
    return time.perf_counter() - began


def memory_of(running: House, *names: str) -> float:
    """MiB of the programs whose names begin so."""
    children = [child for name, child in running.supervisor.children.items() if name.startswith(names)]
    return sum(memory(child.process.pid) for child in children if child.process)


def memory(pid: int) -> float:
    """MiB of a process and its children, with pages that processes share divided among them."""
    process = psutil.Process(pid)
    return sum(map(_bytes_of, [process, *process.children(recursive=True)])) / 2**20


def _bytes_of(process: psutil.Process) -> float:
    try:
        return float(getattr(process.memory_full_info(), "pss", 0))  # Linux only
    except psutil.NoSuchProcess:  # it has ended since it was listed
        return 0.0


def worker_cpu(running: House) -> float:
    """The processor seconds that the workers have used so far."""
    workers = [child for name, child in running.supervisor.children.items() if name.startswith("worker")]
    times = [psutil.Process(child.process.pid).cpu_times() for child in workers if child.process]
    return float(sum(time.user + time.system for time in times))


@contextmanager
def also_running(running: House, program: Program) -> Iterator[None]:
    """A further program, until the block ends."""
    running.supervisor.start(program)
    try:
        yield
    finally:
        running.supervisor.stop([program.name])
