"""What apps below the workflows have done again and again: the recovery does it, one leader at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from apps.common.intervals import Interval

Work = Callable[[], int]

SECOND, HOUR = 1.0, 3600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Chore:
    work: Work
    rest: Interval


_chores: dict[str, _Chore] = {}


def register(name: str, work: Work, *, every: float = SECOND) -> None:
    """Have this done about every so many seconds, and at most every second.

    It gives how much there was to do, and must be harmless to do twice.
    """
    rest = 0.0 if every <= SECOND else every  # the recovery itself comes round once a second
    _chores[name] = _Chore(work, Interval(rest, is_over=True))


def do_all() -> dict[str, int]:
    """Do all that it is time for; one that breaks is told and keeps nobody from the rest."""
    return {name: _done(name, chore.work) for name, chore in _chores.items() if chore.rest.take()}


def _done(name: str, work: Work) -> int:
    try:
        return work()
    except Exception:
        log.exception("Some upkeep failed.", action="upkeep_failed", upkeep=name)
        return 0
