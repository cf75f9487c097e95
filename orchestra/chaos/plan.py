"""What is broken when: the same seed gives the same plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

# How often each fault comes in a mixed plan, relative to the others.
MIXED = {
    "kill": 8,
    "freeze": 3,
    "restart": 3,
    "flush": 3,
    "kill_redis": 1,
    "freeze_redis": 1,
    "stop_postgres": 1,
    "crash_postgres": 1,
    "end_sessions": 3,
    "cut": 4,
}
ON_PROCESSES = frozenset({"kill", "freeze", "restart"})
CUT = ("postgres", "redis", "http")
FROZEN_FOR = (0.5, 1.3)  # leases


@dataclass(frozen=True)
class Step:
    """One fault: when (seconds from the beginning), which, to whom, and for how long where it lasts."""

    at: float
    fault: str
    target: str = ""
    seconds: float = 0.0


def plan(
    seed: int, count: int, every: float, *, processes: Sequence[str], faults: Mapping[str, int], lease: float
) -> list[Step]:
    """So many faults, one in each span of `every` seconds."""
    random = Random(seed)  # noqa: S311 - chance that can be had again
    return [
        _step(random, (number + random.random()) * every, processes, faults, lease) for number in range(1, count + 1)
    ]


def _step(random: Random, at: float, processes: Sequence[str], faults: Mapping[str, int], lease: float) -> Step:
    (fault,) = random.choices(list(faults), list(faults.values()))
    target = random.choice(list(processes)) if fault in ON_PROCESSES else random.choice(CUT) if fault == "cut" else ""
    seconds = random.uniform(*FROZEN_FOR) * lease if "freeze" in fault else 0.0
    return Step(round(at, 3), fault, target, round(seconds, 3))
