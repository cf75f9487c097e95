"""Workloads C and D: many runs at once, of nodes that do nothing and of nodes that wait."""

from collections.abc import Iterator, Sequence

from benchmarks.contender import Contender
from benchmarks.measuring import alternating, row_of_times
from benchmarks.report import OURS, Row
from benchmarks.sizes import Sizes

NODES, NODES_TO_REACH = 5, 220  # runs per second
WAITING_NODES, WAIT_SECONDS, WAITING_TO_REACH = 3, 0.2, 0.95  # seconds


def measure(contenders: Sequence[Contender], sizes: Sizes) -> Iterator[Row]:
    """Runs per second, and how long runs take that mostly wait."""
    yield _busy(contenders, sizes)
    yield _waiting(contenders, sizes)


def _busy(contenders: Sequence[Contender], sizes: Sizes) -> Row:
    took = alternating(contenders, lambda contender: contender.runs(sizes.runs, NODES, 0), sizes.repeats)
    ours = took.pop(OURS)
    return Row(
        f"C. {sizes.runs} runs of {NODES} nodes",
        sizes.runs / ours.seconds,
        "runs/s",
        NODES_TO_REACH if sizes.runs >= 200 else None,  # noqa: PLR2004 - the size that the figure is about
        {name: sizes.runs / other.seconds for name, other in took.items()},
        database=ours.database and sizes.runs / ours.database,
        cpu=ours.cpu and ours.cpu / (sizes.runs * NODES) * 1000,
    )


def _waiting(contenders: Sequence[Contender], sizes: Sizes) -> Row:
    took = alternating(
        contenders, lambda contender: contender.runs(sizes.runs, WAITING_NODES, WAIT_SECONDS), sizes.repeats
    )
    return row_of_times(
        f"D. {sizes.runs} runs of {WAITING_NODES} nodes that wait {WAIT_SECONDS * 1000:.0f} ms",
        took,
        to_reach=WAITING_TO_REACH if sizes.runs >= 200 else None,  # noqa: PLR2004
        nodes=sizes.runs * WAITING_NODES,
    )
