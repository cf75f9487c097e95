"""Workload A: a chain of nodes that do nothing, from submit to done."""

from collections.abc import Iterator, Sequence
from operator import methodcaller

from benchmarks.contender import Contender
from benchmarks.measuring import alternating, row_of_times
from benchmarks.report import Row
from benchmarks.sizes import Sizes

TO_REACH = {10: 0.016, 100: 0.10}  # seconds


def measure(contenders: Sequence[Contender], sizes: Sizes) -> Iterator[Row]:
    """One row for each length."""
    for nodes in sizes.chains:
        took = alternating(contenders, methodcaller("chain", nodes), sizes.repeats)
        yield row_of_times(f"A. chain of {nodes:,} nodes", took, to_reach=TO_REACH.get(nodes), nodes=nodes)
