"""Node runs that wait to be claimed, asked for some at a time."""

import threading
import time
from collections import deque
from uuid import UUID

from django.conf import settings

from apps.workflows.nodes.registry import served
from apps.workflows.services.leases import Leases
from apps.workflows.store.database import look
from apps.workflows.store.recovery import NOBODY, Offer, offers

FEWEST = 8  # asked for at once, so that many short runs do not each cost a question
OLD_SECONDS = 0.5  # others have claimed by now what was found so long ago
EMPTY_SECONDS = 0.02  # how long "there is nothing" is believed
REFUSED_SECONDS = 0.2  # how long one that could not be claimed is passed over


class Backlog:
    """What the threads of one process work on next; none is given to two of them."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._lock = threading.Lock()
        self._found: deque[Offer] = deque()
        self._found_at = 0.0
        self._served = NOBODY  # the organization that was served last
        self._given: dict[UUID, float] = {}  # node runs that are being claimed, or were refused: until when

    def fill(self, wanted: int) -> int:
        """Asks for what may be claimed now; gives how many wait, `wanted` at the most."""
        with self._lock:
            self._ask(wanted)
            return min(wanted, len(self._found))

    def next(self) -> Offer | None:
        """The next to claim; `tried` is called when that has been done. None when nothing waits."""
        with self._lock:
            age = time.monotonic() - self._found_at
            if age > OLD_SECONDS or (not self._found and age > EMPTY_SECONDS):
                self._ask(FEWEST)
            if not self._found:
                return None
            offer = self._found.popleft()
            self._given[offer.node_run] = float("inf")
            return offer

    def tried(self, offer: Offer, *, claimed: bool) -> None:
        """Notes that the claim has been tried."""
        with self._lock:
            if claimed:
                self._given.pop(offer.node_run, None)
            else:
                self._given[offer.node_run] = time.monotonic() + REFUSED_SECONDS

    def _ask(self, wanted: int) -> None:
        now = time.monotonic()
        self._given = {node_run: until for node_run, until in self._given.items() if until > now}
        limit = max(wanted, FEWEST) + len(self._given)
        with look() as tx:
            share = settings.ORCHESTRA_ORGANIZATION_SHARE or None
            losses = self._leases.admitted_losses
            found, self._served = offers(tx, served(), limit, after=self._served, share=share, losses=losses)
        self._found = deque(offer for offer in found if offer.node_run not in self._given)
        self._found_at = time.monotonic()
