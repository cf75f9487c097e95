"""How calls are held back, and let back one after the other: the sums of circuits and budgets, without a clock."""

from collections import Counter
from dataclasses import dataclass, field

WINDOW = 10  # seconds over which a rate is measured
SLOWEST = 2.0  # calls per second that are let back where nothing has been measured


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a circuit opens, and for how long (seconds)."""

    failures: int = 5  # in a row
    rest: float = 5.0  # the first time; twice as long each time that a probe fails
    longest_rest: float = 60.0
    probe: float = 60.0  # that a probe has for its answer before another one is let through


def rest_of(policy: BreakerPolicy, openings: int) -> float:
    """Seconds that a circuit stays open which has opened so often in a row."""
    return min(policy.longest_rest, policy.rest * 2.0 ** min(openings - 1, 64))


@dataclass(slots=True)
class Meter:
    """How many calls went out in each of the last seconds."""

    counts: Counter[int] = field(default_factory=Counter)

    def count(self, now: float) -> None:
        """Notes a call."""
        self.counts[int(now)] += 1
        for second in [second for second in self.counts if second <= now - WINDOW]:
            del self.counts[second]

    def total(self, now: float) -> int:
        """Calls in the window that ends now."""
        return sum(count for second, count in self.counts.items() if second > now - WINDOW)

    def rate(self, now: float) -> float:
        """Calls per second while there were calls."""
        counted = [(second, count) for second, count in self.counts.items() if second > now - WINDOW]
        if not counted:
            return SLOWEST
        seconds = int(now) - min(second for second, _ in counted) + 1
        return max(SLOWEST, sum(count for _, count in counted) / seconds)


@dataclass(slots=True)
class Queue:
    """The times at which refused calls come back: one after the other, as fast as calls used to go out."""

    rate: float
    last: float = float("-inf")

    def place(self, *, now: float, opens_at: float) -> float:
        """Seconds until the next free place, none of which is before the circuit lets a call through."""
        self.last = max(self.last + 1 / self.rate, opens_at, now)
        return self.last - now


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """How many calls may be repetitions of failed ones."""

    share: float = 0.2  # of all calls
    least: float = 1.0  # per second, however few calls there are


@dataclass(slots=True)
class RetryBudget:
    """Keeps the retries among calls to a share of them. What is over it gets a place in a queue."""

    policy: BudgetPolicy = BudgetPolicy()
    retries: Meter = field(default_factory=Meter)
    queue: Queue = field(default_factory=lambda: Queue(SLOWEST))

    def admit(self, calls: Meter, now: float) -> float | None:
        """None for a retry that may go out now, and is counted; for any other the seconds until its turn."""
        room = max(self.policy.least * WINDOW, self.policy.share * (calls.total(now) + 1))
        if self.retries.total(now) + 1 <= room:
            self.retries.count(now)
            return None
        self.queue.rate = max(self.policy.least, self.policy.share * calls.rate(now))
        return self.queue.place(now=now, opens_at=now)
