"""The Orchestra that is measured, with the defaults of the product."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from orchestra import house
from orchestra.house import House, wait_until
from orchestra.settings import BASE_DIR
from orchestra.supervisor import Program

__all__ = ["House", "also_running", "running_house", "wait_until", "worker_cpu"]

HOMES = BASE_DIR / ".orchestra" / "benchmarks"  # on the disk that the product would use


@contextmanager
def running_house(slots: int, workers: int) -> Iterator[House]:
    """One that is ready for work; nothing of it is left afterwards."""
    with house.running_house(HOMES, workers=workers, settings={"ORCHESTRA_CONCURRENCY": str(slots)}) as running:
        yield running


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
