"""How many runs of an organization may wait to begin: what comes on top is refused before it costs anything."""

import threading
import time
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings

from apps.accounts.models import Organization
from apps.common.errors import TooManyRequests
from apps.workflows import selectors

KEPT_SECONDS = 1.0
RETRY_SECONDS = 5.0


def admit(organization: Organization) -> None:
    """Count one more run of the organization, or raise TooManyRequests when its queue is full."""
    most: int = settings.ORCHESTRA_ORGANIZATION_QUEUE
    if not has_room(organization.pk):
        raise TooManyRequests(
            f"'{organization.slug}' has {most} runs that wait to begin, as many as an organization may have. "
            "Try again when some of them have begun, or cancel what is not needed.",
            code="queue_full",
            retry_after=RETRY_SECONDS,
        )


def has_room(organization: UUID) -> bool:
    """Count one more run of the organization, or give False when its queue is full."""
    return _queues.has_room(organization, settings.ORCHESTRA_ORGANIZATION_QUEUE)


@dataclass
class _Queues:
    """Each organization's queue as it was a moment ago, and what this process has added since."""

    lengths: dict[UUID, tuple[float, int]] = field(default_factory=dict)  # until when it is kept, how long
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has_room(self, organization: UUID, most: int) -> bool:
        """Take a place in the queue, or give False when there is none."""
        until, length = self.lengths.get(organization, (0.0, 0))
        if until < time.monotonic():
            until, length = time.monotonic() + KEPT_SECONDS, selectors.count_pending(organization, most)
        if length >= most:
            return False
        with self.lock:
            self._prune()
            _, added = self.lengths.get(organization, (until, length))
            self.lengths[organization] = until, max(length, added) + 1
        return True

    def _prune(self) -> None:
        now = time.monotonic()
        self.lengths = {whose: kept for whose, kept in self.lengths.items() if now < kept[0]}


_queues = _Queues()


def forget() -> None:
    """Count again at the next run, as tests need it."""
    _queues.lengths.clear()
