"""Repeating, alternating and taking medians."""

import math
import time
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.contender import Contender, Took
from benchmarks.report import OURS, Row

PATIENCE = 12.0  # seconds; a full session with every peer is to take less than a quarter of an hour
WARM_UPS = 4
QUICK_ENOUGH = 1.0  # seconds; who takes longer has made its connections once it has done the work


def alternating(
    contenders: Sequence[Contender], work: Callable[[Contender], Took | None], repeats: int
) -> dict[str, Took]:
    """Let the contenders do the work in turn, so that a noisy minute is everybody's; give the median of each by name.

    The first times of each do not count: connections, caches and plans are made then, and those of a whole pool not at
    once. Who goes first changes. Who has needed more than PATIENCE in all is not asked again; then even the first time
    counts if it is the only one.
    """
    took = {contender: _warmed_up(contender, work) for contender in contenders}
    able = [contender for contender in contenders if took[contender]]
    for number in range(repeats):
        first = number % len(able)
        for contender in (*able[first:], *able[:first]):
            if sum(time.seconds for time in took[contender]) < PATIENCE:
                took[contender] += filter(None, [work(contender)])
    return {contender.name: middle(took[contender][1:] or took[contender]) for contender in able}


def _warmed_up(contender: Contender, work: Callable[[Contender], Took | None]) -> list[Took]:
    """The last of the times that do not count; none of who cannot do the work."""
    for last in range(1, WARM_UPS + 1):
        took = work(contender)
        if took is None:
            break
        if took.seconds > QUICK_ENOUGH or last == WARM_UPS:
            return [took]
    return []


def middle(times: Sequence[Took]) -> Took:
    """The median of each of the clocks."""
    return Took(
        median(took.seconds for took in times),
        _median_of_known([took.database for took in times]),
        _median_of_known([took.cpu for took in times]),
    )


def row_of_times(workload: str, took: dict[str, Took], *, to_reach: float | None, nodes: int) -> Row:
    """Our seconds for so many nodes, beside those of the others."""
    ours = took.pop(OURS)
    others = {name: other.seconds for name, other in took.items()}
    cpu = ours.cpu and ours.cpu / nodes * 1000
    return Row(workload, ours.seconds, "s", to_reach, others, database=ours.database, cpu=cpu)


def timed_requests(ask: Callable[[], object], requests: int) -> list[float]:
    """The milliseconds that each of so many requests takes."""
    times = []
    for _ in range(requests):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1000)
    return times


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by this share of them."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _median_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
