"""What has to be done now and then, by one worker at a time: apps say what, the leader of the recovery does it."""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

_chores: list[Callable[[], object]] = []


def register(chore: Callable[[], object]) -> None:
    """Have something done every half minute or so; it must bear being done twice, or late."""
    if chore not in _chores:
        _chores.append(chore)


def do_all() -> None:
    """Do each of them; one that fails is told of and leaves the others alone."""
    for chore in _chores:
        try:
            chore()
        except Exception:
            log.exception("A chore failed.", action="chore_failed", chore=chore.__qualname__)
