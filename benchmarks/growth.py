"""Whether a node costs more the longer its run is."""

from collections.abc import Iterator

from benchmarks.measuring import alternating
from benchmarks.ours import Ours
from benchmarks.report import OURS, Row
from benchmarks.sizes import Sizes

SHORT = 100  # nodes
TIMES_TO_REACH = 1.2
TO_REACH_AT = 5000


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """A node of a long chain beside one of a short chain."""
    short, long = (_milliseconds(ours, nodes, sizes.repeats) for nodes in (SHORT, sizes.longest))
    to_reach = short * TIMES_TO_REACH if sizes.longest >= TO_REACH_AT else None
    what = f"growth: a node in a chain of {sizes.longest:,}"
    yield Row(what, long, "ms", to_reach, {f"a node in a chain of {SHORT}": short})


def _milliseconds(ours: Ours, nodes: int, repeats: int) -> float:
    took = alternating([ours], lambda contender: contender.runs(1, nodes, 0), repeats)
    return took[OURS].seconds / nodes * 1000
