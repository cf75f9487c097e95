"""A bounded number of threads, each for one piece of work."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import structlog

from apps.common.database import release_connection

log = structlog.get_logger(__name__)


class Slots:
    """So many pieces of work at a time, each on a thread.

    A thread stays when its work is done: `Thread.start` waits until the new thread has run, which takes its time among
    hundreds of others, and whoever hands out work would wait with it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._taken = self._threads = 0
        self._changed = threading.Condition()
        self._pieces: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()

    def start(self) -> None:
        """Starts the threads before there is work; else each starts with the first work that finds none idle."""
        while self._threads < self.size:
            self._add_thread()

    @property
    def free(self) -> int:
        """How many more pieces could begin now."""
        return self.size - self._taken

    def reserve(self, wanted: int) -> int:
        """Keeps up to so many free slots; gives how many. Each is begun or released."""
        with self._changed:
            granted = max(0, min(wanted, self.free))
            self._taken += granted
        return granted

    def release(self, count: int) -> None:
        """Gives back slots that were kept or in use."""
        if count:
            with self._changed:
                self._taken -= count
                self._changed.notify_all()

    def begin(self, work: Callable[..., object], *args: Any) -> None:
        """Begins the work on a slot that was kept."""
        self._pieces.put((work, args))
        if self._threads < self._taken:
            self._add_thread()

    def wait_free(self, seconds: float) -> bool:
        """Waits until a slot is free, so many seconds at the most."""
        with self._changed:
            return self._changed.wait_for(lambda: self.free > 0, seconds)

    def wait_idle(self, seconds: float) -> bool:
        """Waits until all work is done, so many seconds at the most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._taken, seconds)

    def _add_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._serve, name="slot", daemon=True).start()

    def _serve(self) -> None:
        while True:
            work, args = self._pieces.get()
            self._run(work, args)

    def _run(self, work: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            work(*args)
        except Exception:
            # The row is still claimed by this worker; the recovery takes it back when its lease or time-out is over.
            log.exception("A slot failed.", action="slot_failed")
        finally:
            release_connection()
            self.release(1)
