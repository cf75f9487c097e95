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
    streams: int  # open at once, each of a run that goes on
    idle_streams: int  # open at once, of a run that waits
    kills: int  # of a worker
    transitions: int  # of the marking
    compiled: int  # nodes of the definition that is compiled
    built: int  # nodes of the definition that is opened in the builder
    longest: int  # nodes of the chain that shows growth
    queued: int  # rows that wait for a worker
    claims: int  # of them
    listed: int  # runs that there are
    lists: int  # requests for a page of them
    views: int  # of each page in a browser


FULL = Sizes(
    repeats=5,
    chains=(10, 100, 1000),
    fanouts=(100, 1000),
    runs=200,
    posts=1500,
    connections=16,
    streams=100,
    idle_streams=1000,
    kills=5,
    transitions=20_000,
    compiled=1000,
    built=200,
    longest=5000,
    queued=100_000,
    claims=500,
    listed=200_000,
    lists=200,
    views=10,
)
QUICK = Sizes(
    repeats=3,
    chains=(10, 100),
    fanouts=(100,),
    runs=50,
    posts=300,
    connections=16,
    streams=20,
    idle_streams=100,
    kills=1,
    transitions=5000,
    compiled=1000,
    built=200,
    longest=500,
    queued=10_000,
    claims=100,
    listed=10_000,
    lists=50,
    views=4,
)
SMALLEST = Sizes(
    repeats=1,
    chains=(2,),
    fanouts=(2,),
    runs=2,
    posts=4,
    connections=2,
    streams=2,
    idle_streams=2,
    kills=1,
    transitions=20,
    compiled=10,
    built=5,
    longest=5,
    queued=20,
    claims=2,
    listed=20,
    lists=2,
    views=1,
)
