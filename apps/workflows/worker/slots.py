"""A bounded number of threads, each for one piece of work."""

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from apps.common.database import release_connection

log = structlog.get_logger(__name__)


class Slots:
    """So many pieces of work at a time. A thread lasts as long as its work: starting one costs less than a message."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._room = threading.BoundedSemaphore(size)
        self._busy = 0
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """How many more pieces could begin now."""
        return self.size - self._busy

    def begin(self, work: Callable[..., object], *args: Any, seconds: float) -> bool:
        """Begins the work in a thread of its own; False when no slot came free within so many seconds."""
        if not self._room.acquire(timeout=seconds):
            return False
        with self._lock:
            self._busy += 1
        threading.Thread(target=self._run, args=(work, args), name="slot", daemon=True).start()
        return True

    def wait_idle(self, seconds: float) -> bool:
        """Waits until all work is done, so many seconds at the most."""
        ends = time.monotonic() + seconds
        while self._busy and time.monotonic() < ends:
            time.sleep(0.02)
        return not self._busy

    def _run(self, work: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            work(*args)
        except Exception:
            # The row is still claimed by this worker; the recovery takes it back when its lease or time-out is over.
            log.exception("A slot failed.", action="slot_failed")
        finally:
            release_connection()
            with self._lock:
                self._busy -= 1
            self._room.release()
