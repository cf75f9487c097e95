"""Workload B: a map over items that do nothing, and its join; every item is durable."""

from collections.abc import Iterator, Sequence
from operator import methodcaller

from benchmarks.contender import Contender
from benchmarks.measuring import alternating, row_of_times
from benchmarks.report import Row
from benchmarks.sizes import Sizes

TO_REACH = {100: 0.06, 1000: 0.45}  # seconds


def measure(contenders: Sequence[Contender], sizes: Sizes) -> Iterator[Row]:
    """One row for each width."""
    for items in sizes.fanouts:
        took = alternating(contenders, methodcaller("fanout", items), sizes.repeats)
        yield row_of_times(f"B. map over {items:,} items", took, to_reach=TO_REACH.get(items), nodes=items)
