"""Workload A: a chain of nodes that do nothing, from submit to done."""

from collections.abc import Iterator, Sequence
from operator import methodcaller

from benchmarks.contender import Contender
from benchmarks.measuring import alternating
from benchmarks.report import OURS, Row
from benchmarks.sizes import Sizes

TO_REACH = {10: 0.016, 100: 0.10}  # seconds


def measure(contenders: Sequence[Contender], sizes: Sizes) -> Iterator[Row]:
    """One row for each length."""
    for nodes in sizes.chains:
        took = alternating(contenders, methodcaller("chain", nodes), sizes.repeats)
        ours = took.pop(OURS)
        yield Row(
            f"A. chain of {nodes:,} nodes",
            ours.seconds,
            "s",
            TO_REACH.get(nodes),
            {name: other.seconds for name, other in took.items()},
            database=ours.database,
            cpu=ours.cpu and ours.cpu / nodes * 1000,
        )
