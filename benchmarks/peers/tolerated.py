"""A contender whose trouble costs its own cell of a table, and nobody else's."""

import sys
from collections.abc import Callable

from benchmarks.contender import Contender, Took


class Tolerated:
    """Does what another contender does; what that one could not do is among the troubles."""

    def __init__(self, contender: Contender, troubles: list[str]) -> None:
        self.contender, self.troubles = contender, troubles

    @property
    def name(self) -> str:
        """See Contender.name."""
        return self.contender.name

    def chain(self, nodes: int) -> Took | None:
        """See Contender.chain."""
        return self._tried("chain", lambda: self.contender.chain(nodes))

    def fanout(self, items: int) -> Took | None:
        """See Contender.fanout."""
        return self._tried("fanout", lambda: self.contender.fanout(items))

    def runs(self, runs: int, nodes: int, seconds: float) -> Took | None:
        """See Contender.runs."""
        return self._tried("runs", lambda: self.contender.runs(runs, nodes, seconds))

    def _tried(self, work: str, do: Callable[[], Took | None]) -> Took | None:
        try:
            return do()
        except Exception as error:  # noqa: BLE001 - it is told in the report
            self.troubles.append(f"{self.name}, {work}: {type(error).__name__}: {error}")
            print(self.troubles[-1], file=sys.stderr, flush=True)
            return None
