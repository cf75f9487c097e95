"""How much of each workload is done."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """One profile."""

    repeats: int  # of which the median is taken
    chains: tuple[int, ...]  # nodes
    fanouts: tuple[int, ...]  # items
    runs: int  # at once
    posts: int  # requests
    connections: int
    streams: int  # open at once


FULL = Sizes(repeats=5, chains=(10, 100, 1000), fanouts=(100, 1000), runs=200, posts=1500, connections=16, streams=100)
QUICK = Sizes(repeats=3, chains=(10, 100), fanouts=(100,), runs=50, posts=300, connections=16, streams=20)
SMALLEST = Sizes(repeats=1, chains=(2,), fanouts=(2,), runs=2, posts=4, connections=2, streams=2)
