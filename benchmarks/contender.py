"""What is measured: the same work, done by each contender in its own way."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Took:
    """How long a piece of work took."""

    seconds: float  # by the clock of who asked for it: from before the submit until the end is known
    database: float | None = None  # by the database's: from the run's creation to its end
    cpu: float | None = None  # of all worker processes


class Contender(Protocol):
    """Somebody who can do the workloads. A node does nothing, but for waiting where it is told to."""

    @property
    def name(self) -> str:
        """What its column is called."""

    def chain(self, nodes: int) -> Took | None:
        """One run of so many nodes, one after the other; None from who cannot do this."""

    def fanout(self, items: int) -> Took | None:
        """One run that does so many items at once and joins them."""

    def runs(self, runs: int, nodes: int, seconds: float) -> Took | None:
        """So many runs at once, each a chain of nodes that each wait so many seconds."""
