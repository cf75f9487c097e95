"""Slots: of a tool that takes only so many calls at a time no more are under way, in all workers together.

1. Before the call one statement takes a slot, after it one gives it back. A tool without a limit pays nothing.
2. A call that finds none is deferred. Who is turned away comes back one after the other, twice as fast as calls have
   found room here lately: so whoever waits costs the same, however many they are, and what becomes free is found.
3. A slot whose worker is gone is free. One that could not be given back is given back with the next.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from apps.common.database import release_connection
from apps.common.ids import uuid7
from apps.workflows.engine.pacing import SLOWEST, Meter, Queue
from apps.workflows.nodes.base import Deferred, NodeError
from apps.workflows.store import slots
from apps.workflows.store.circuits import Name
from apps.workflows.store.database import MANY_TRIES, TRANSIENT, look, patiently

log = structlog.get_logger(__name__)

FORGET_AFTER = 60.0  # seconds in which nobody was turned away


@dataclass(slots=True)
class Local:
    """What this process has measured of a tool whose slots were all taken."""

    found_room: Meter = field(default_factory=Meter)
    queue: Queue = field(default_factory=lambda: Queue(SLOWEST))


class Slots:
    """The slots as this process sees them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._owed: dict[Name, set[UUID]] = {}  # holders whose end the database has not heard of
        self._local: dict[Name, Local] = {}  # where somebody was turned away

    def take(self, name: Name, most: int, worker: UUID) -> UUID:
        """Takes a slot for a call and gives its holder; raises Deferred `no_slot` when all are taken."""
        holder = uuid7()
        try:
            found = patiently(lambda: self._take(name, most, worker, holder), tries=MANY_TRIES)
        except BaseException:
            self._owe(name, holder)  # a try may have landed whose answer was lost
            raise
        finally:
            release_connection()
        if not found:
            raise self._turned_away(name, most)
        if (local := self._local.get(name)) is not None:
            with self._lock:
                local.found_room.count(self._clock())
        return holder

    def give(self, name: Name, holder: UUID) -> None:
        """Gives back the slot of a call that has ended, however it did."""
        self._owe(name, holder)
        holders = self._owing(name)
        try:
            patiently(lambda: _give(name, holders), tries=MANY_TRIES)
        except TRANSIENT:
            log.warning("A slot could not be given back yet.", action="slot_owed", tool=name[1])
            return
        finally:
            release_connection()
        with self._lock:
            left = self._owed.pop(name, set()).difference(holders)
            if left:
                self._owed[name] = left

    def _take(self, name: Name, most: int, worker: UUID, holder: UUID) -> bool:
        owed = self._owing(name)
        with look() as tx:
            if slots.take(tx, name, most=most, worker=worker, holder=holder, owed=owed):
                return True
            added = slots.add(tx, name, most=most)
            return added and slots.take(tx, name, most=most, worker=worker, holder=holder, owed=owed)

    def _owe(self, name: Name, holder: UUID) -> None:
        with self._lock:
            self._owed.setdefault(name, set()).add(holder)

    def _owing(self, name: Name) -> tuple[UUID, ...]:
        with self._lock:
            return tuple(self._owed.get(name, ()))

    def _turned_away(self, name: Name, most: int) -> Deferred:
        now = self._clock()
        with self._lock:
            self._local = {
                known: local for known, local in self._local.items() if local.queue.last > now - FORGET_AFTER
            }
            local = self._local.setdefault(name, Local())
            local.queue.rate = 2 * local.found_room.rate(now)
            wait = local.queue.place(now=now, opens_at=now)
        message = f"'{name[1]}' takes {most} call{'s' if most > 1 else ''} at a time, and so many are under way."
        return Deferred(NodeError("no_slot", message, retryable=True, retry_after=wait, deferred=True))


def _give(name: Name, holders: tuple[UUID, ...]) -> None:
    with look() as tx:
        slots.give(tx, name, holders)


shared = Slots()
