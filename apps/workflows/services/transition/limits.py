"""How far a run may go."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Where a run that got out of hand ends as failed."""

    visits: int = 10_000  # node visits of a run
    items: int = 100_000  # items of one map
    nesting: int = 10  # runs that start runs
    inline: int = 500  # deciding nodes evaluated in one transaction; the rest goes on in the next
