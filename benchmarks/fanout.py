"""Workload B: a map over items that do nothing, and its join; every item is durable."""

from collections.abc import Iterator, Sequence
from operator import methodcaller

from benchmarks.contender import Contender
from benchmarks.measuring import alternating
from benchmarks.report import OURS, Row
from benchmarks.sizes import Sizes

TO_REACH = {100: 0.06, 1000: 0.45}  # seconds


def measure(contenders: Sequence[Contender], sizes: Sizes) -> Iterator[Row]:
    """One row for each width."""
    for items in sizes.fanouts:
        took = alternating(contenders, methodcaller("fanout", items), sizes.repeats)
        ours = took.pop(OURS)
        yield Row(
            f"B. map over {items:,} items",
            ours.seconds,
            "s",
            TO_REACH.get(items),
            {name: other.seconds for name, other in took.items()},
            database=ours.database,
            cpu=ours.cpu and ours.cpu / items * 1000,
        )
