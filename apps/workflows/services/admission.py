"""Whether one call of a tool may go out now: in a slot, where the tool has them, and through its circuit."""

import threading
from dataclasses import dataclass, field
from uuid import UUID

from apps.workflows.services import circuits, slots
from apps.workflows.store.circuits import Name


@dataclass
class Admission:
    """One call on its way in and out. A call that was given up may be told to leave while it still comes in."""

    circuit: Name
    concurrency: int | None  # of the tool
    worker: UUID
    is_retry: bool  # of a call that has failed
    _holder: UUID | None = None
    _has_left: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> None:
        """Lets the call begin; else raises Deferred, or Retryable `circuit_open`."""
        if self.concurrency is None:
            circuits.shared.enter(self.circuit, retry=self.is_retry)
            return
        with self._lock:
            if self._has_left:
                return
            self._holder = slots.shared.take(self.circuit, self.concurrency, self.worker)
        try:
            circuits.shared.enter(self.circuit, retry=self.is_retry)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Makes room for another call; doing it twice does no harm."""
        if self.concurrency is None:
            return
        with self._lock:
            self._has_left = True
            holder, self._holder = self._holder, None
        if holder is not None:
            slots.shared.give(self.circuit, holder)
