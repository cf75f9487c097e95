"""Runs as this process left them a moment ago, so that the next news of them need no reading.

Nothing is trusted: what is decided on a memory is written only if nobody has changed the run since. So a memory that
is out of date costs one statement that writes nothing, and is forgotten.
"""

import threading
import time
from uuid import UUID

from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store.clock import TRUSTED_SECONDS

MOST = 500  # runs


class Memory:
    """The last transition of each run that this process goes on with."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[Transition, float]] = {}
        self._lock = threading.Lock()

    def take(self, run: UUID) -> Transition | None:
        """What is known of the run, once: whoever acts on it keeps the new state."""
        with self._lock:
            transition, kept_at = self._known.pop(run, (None, 0.0))
        return transition if time.monotonic() - kept_at < TRUSTED_SECONDS else None

    def keep(self, transition: Transition) -> None:
        """Remembers a run as a transition has just written it."""
        if transition.run.status in RUN_ENDED:
            return
        with self._lock:
            while len(self._known) >= MOST:
                self._known.pop(next(iter(self._known)))
            self._known[transition.run.id] = (transition, time.monotonic())

    def forget(self, run: UUID) -> None:
        """Remembers the run no more."""
        with self._lock:
            self._known.pop(run, None)
