"""What apps below the workflows have done again and again: the recovery does it, one leader at a time."""

from collections.abc import Callable

import structlog

Work = Callable[[], int]

_works: dict[str, Work] = {}
log = structlog.get_logger(__name__)


def register(name: str, work: Work) -> None:
    """Have this done about every second; it gives how much there was to do, and must be harmless to do twice."""
    _works[name] = work


def do_all() -> dict[str, int]:
    """Do all of it; one that breaks is told and keeps nobody from the rest."""
    return {name: _done(name, work) for name, work in _works.items()}


def _done(name: str, work: Work) -> int:
    try:
        return work()
    except Exception:
        log.exception("Some upkeep failed.", action="upkeep_failed", upkeep=name)
        return 0
