"""Whether a second worker process does as much again."""

from collections.abc import Iterator

import psutil

from benchmarks.house import restart_workers
from benchmarks.measuring import alternating
from benchmarks.ours import Ours
from benchmarks.report import OURS, Row
from benchmarks.sizes import Sizes
from benchmarks.throughput import NODES

TIMES_TO_REACH = 1.6
CORES = 4  # two for the workers, and as many again for PostgreSQL and who submits


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """Workload C with two workers beside the same with one."""
    one, two = (_rate(ours, workers, sizes) for workers in (1, 2))
    restart_workers(ours.house, 1)
    to_reach = one * TIMES_TO_REACH if (psutil.cpu_count() or 1) >= CORES else None  # else they share a core
    yield Row(f"C with two workers, {sizes.runs} runs", two, "runs/s", to_reach, {"C with one worker": one})


def _rate(ours: Ours, workers: int, sizes: Sizes) -> float:
    restart_workers(ours.house, workers)
    took = alternating([ours], lambda contender: contender.runs(sizes.runs, NODES, 0), sizes.repeats)
    return sizes.runs / took[OURS].seconds
