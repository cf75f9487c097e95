"""Places where a test or a rehearsal has a process die, fail or freeze; nothing happens unless a setting says so.

`ORCHESTRA_FAILPOINTS="before_complete=exit:0.1,commit_then_raise=raise:once,beat_stall=sleep:15"`: a place, what
happens there (`exit`, `raise`, or `sleep` with its seconds), and when: `once` in a process, with a probability, or
each time where nothing is said.
"""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PLACES = frozenset(
    {
        "after_commit_before_publish",  # rows are written, and nobody has been told
        "before_complete",  # a node's body is done, and its result is not written
        "commit_then_raise",  # a commit has landed, and its answer is lost
        "after_effect_before_done",  # the world has changed, and the ledger does not know
        "beat_stall",  # the heartbeat stands still
    }
)


class InjectedFault(Exception):
    """What a failpoint raises where its place names no error of its own."""


@dataclass(frozen=True)
class Failpoint:
    """What happens at one place, and when."""

    place: str
    act: str
    seconds: float
    likely: float
    once: bool
    spent: threading.Lock = field(default_factory=threading.Lock)  # taken by the first who comes, where once is enough

    def act_out(self, error: type[Exception]) -> None:
        """Does it, if it is time."""
        if self.once and not self.spent.acquire(blocking=False):
            return
        if random.random() >= self.likely:  # noqa: S311 - chaos, not a secret
            return
        if self.act == "exit":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.act == "raise":
            raise error(f"The failpoint '{self.place}' was reached.")
        else:
            time.sleep(self.seconds)


_armed: dict[str, Failpoint] = {}


def reach(place: str, error: type[Exception] = InjectedFault) -> None:
    """Have happen what was asked for at this place; `error` is what is raised, where it is that."""
    if _armed and (failpoint := _armed.get(place)) is not None:
        failpoint.act_out(error)


def is_armed(place: str) -> bool:
    """Say whether something may happen at this place."""
    return place in _armed


def arm_from_settings() -> None:
    """Arm what the setting names; outside DEBUG it is refused, and the process does not start."""
    if not settings.ORCHESTRA_FAILPOINTS:
        return
    if not settings.DEBUG:
        raise ImproperlyConfigured(
            "ORCHESTRA_FAILPOINTS makes processes die on purpose and is only for tests: unset it, or set DEBUG=1 too."
        )
    _armed.update(_read(settings.ORCHESTRA_FAILPOINTS))


@contextmanager
def armed(written: str) -> Iterator[None]:
    """For tests: failpoints of this process, as the setting would name them."""
    before = dict(_armed)
    _armed.update(_read(written))
    try:
        yield
    finally:
        _armed.clear()
        _armed.update(before)


_NUMBER = r"\d+(?:\.\d+)?"
_WRITTEN = re.compile(
    rf"(?P<place>{'|'.join(sorted(PLACES))})=(?P<act>exit|raise|sleep:(?P<seconds>{_NUMBER}))(?::(?P<when>once|{_NUMBER}))?"
)


def _read(written: str) -> dict[str, Failpoint]:
    return {found.place: found for one in written.split(",") if one.strip() for found in [_failpoint(one.strip())]}


def _failpoint(written: str) -> Failpoint:
    found = _WRITTEN.fullmatch(written)
    when = found["when"] or "1" if found else ""
    likely = 1.0 if when == "once" else float(when or 0)
    if found is None or not 0 < likely <= 1:
        raise ImproperlyConfigured(
            f"ORCHESTRA_FAILPOINTS: '{written}' is not <place>=exit|raise|sleep:<seconds> and :once or :<chance> "
            f"after it where it is not each time; the places are {', '.join(sorted(PLACES))}."
        )
    seconds = found["seconds"] or "0"
    return Failpoint(found["place"], found["act"].partition(":")[0], float(seconds), likely, when == "once")
