"""What this process holds: node runs, each with the fence it was claimed under."""

import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from apps.common.ids import uuid7
from apps.workflows.services.memory import Memory
from apps.workflows.store.rows import NodeRow

SUSPICIOUS = 3  # losses after which a node may be what kills its workers


class Watched(Protocol):
    """An execution that has something to tell now and then."""

    def flush(self) -> None:
        """Writes it."""


class Crew(Protocol):
    """The idle slots of the process."""

    def reserve(self, wanted: int) -> int:
        """Keeps up to so many idle slots for claims that are being made; gives how many."""

    def release(self, count: int) -> None:
        """Gives back slots that were kept for nothing."""

    def begin(self, claim: Any) -> None:
        """Has a slot that was kept execute a claim."""


class Nobody:
    """No slots beside the thread that asks."""

    def reserve(self, wanted: int) -> int:  # noqa: ARG002
        """See Crew.reserve."""
        return 0

    def release(self, count: int) -> None:
        """See Crew.release."""

    def begin(self, claim: Any) -> None:
        """See Crew.begin."""
        raise RuntimeError(f"No slot was kept for {claim}.")


@dataclass
class Held:
    """A node run in execution here."""

    row: NodeRow
    claimed_at: float  # monotonic
    watched: Watched | None = None
    wanted: bool = True  # False once it was cancelled, timed out or claimed by another


class Leases:
    """The node runs in execution in this process. The heartbeat looks after them; contexts ask it."""

    def __init__(self, worker: UUID | None = None) -> None:
        self.worker = worker or uuid7()
        self.draining = False
        self.memory = Memory()
        self.crew: Crew = Nobody()
        self._held: dict[UUID, Held] = {}
        self._suspect: UUID | None = None
        self._lock = threading.Lock()

    def admits(self, row: NodeRow) -> bool:
        """Whether the node run may be claimed here: of those that have been lost before, only one at a time.

        What dies together is queued together. A node that kills its worker would take the same others with it each
        time, until they count as poison too; apart from other suspects, only the guilty one is lost again.
        """
        if row.lost_count < SUSPICIOUS:
            return True
        with self._lock:
            if self._suspect is None:
                self._suspect = row.id
            return self._suspect == row.id

    @property
    def admitted_losses(self) -> int | None:
        """How often what is claimed next may have been lost: less often than this; None when it does not matter."""
        return None if self._suspect is None else SUSPICIOUS

    def acquit(self, node_run: UUID) -> None:
        """Makes room for another suspect."""
        with self._lock:
            if self._suspect == node_run:
                self._suspect = None

    def hold(self, row: NodeRow) -> None:
        """Notes a claim."""
        with self._lock:
            self._held[row.id] = Held(row, time.monotonic())

    def watch(self, row: NodeRow, watched: Watched) -> None:
        """Notes who executes the claim."""
        if held := self._held.get(row.id):
            held.watched = watched

    def watched(self) -> list[Watched]:
        """Everything that executes here."""
        with self._lock:
            return [held.watched for held in self._held.values() if held.watched]

    def let_go(self, row: NodeRow) -> None:
        """Notes that the node run with this fence is no longer executed here."""
        with self._lock:
            held = self._held.get(row.id)
            if held is not None and held.row.fence == row.fence:
                del self._held[row.id]
        self.acquit(row.id)

    def holds(self, node_run: UUID) -> bool:
        """Whether the node run is executed here."""
        return node_run in self._held

    def executes(self, run: UUID) -> bool:
        """Whether any node run of the run is in execution."""
        with self._lock:
            return any(held.row.run_id == run for held in self._held.values())

    def held(self) -> list[NodeRow]:
        """The node runs in execution."""
        with self._lock:
            return [held.row for held in self._held.values()]

    def fences(self) -> dict[UUID, int]:
        """The fence of each node run in execution."""
        return {row.id: row.fence for row in self.held()}

    def keep_only(self, asked: dict[UUID, int], still_held: set[UUID]) -> None:
        """Tells the contexts of those that were asked about and are not held any more."""
        with self._lock:
            for identifier in asked.keys() - still_held:
                held = self._held.get(identifier)
                if held is not None and held.row.fence == asked[identifier]:
                    held.wanted = False

    def is_wanted(self, row: NodeRow) -> bool:
        """Whether the result of the claim would still be accepted, as far as this process knows."""
        held = self._held.get(row.id)
        return held is not None and held.row.fence == row.fence and held.wanted

    def age(self, row: NodeRow) -> float:
        """Seconds since the claim."""
        held = self._held.get(row.id)
        return time.monotonic() - held.claimed_at if held else 0.0
