"""A peer that takes no time, for the tests: what a session asks it and what it answers are real."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contender import Took
from benchmarks.peers.lines import Contenders, serve


class Fake:
    """Answers with what it was asked for."""

    name = "Fake 1.0"

    def chain(self, nodes: int) -> Took | None:
        """So many seconds; as others do, it prints what nobody has asked for."""
        print("a chain of", nodes)
        return Took(float(nodes)) if nodes < 100 else None

    def fanout(self, items: int) -> Took:
        """Fails."""
        raise ValueError(f"{items} are too many")

    def runs(self, runs: int, nodes: int, seconds: float) -> Took:
        """Dies."""
        print("out of memory", file=sys.stderr, flush=True)
        os._exit(3)


@contextmanager
def running(with_child: str) -> Iterator[Contenders]:
    """The peer, with a process of its own under it if it is to have one."""
    if with_child == "broken":
        raise RuntimeError("no database")
    if with_child == "yes":
        subprocess.Popen(["sleep", "60"])
    yield {"Fake 1.0": Fake()}


if __name__ == "__main__":
    serve(lambda: running(sys.argv[1]))
