"""Identifiers: UUIDv7 (RFC 9562), so that rows made one after the other are neighbours in every index."""

import random
import threading
import time
from datetime import datetime
from uuid import UUID

SHORT_LENGTH = 8  # characters that screens and commands show

_lock = threading.Lock()
_last_stamp = 0


def uuid7() -> UUID:
    """Give a new id that sorts after every id this process has made before."""
    stamp = _next_stamp()
    milliseconds, fraction = stamp >> 12, stamp & 0xFFF
    # Not a secret: who may see a row is checked wherever its id is taken.
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random.getrandbits(62))


def lowest_uuid7(moment: datetime) -> UUID:
    """Give what every id made at or after this moment is greater than."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def short_id(identifier: UUID | str) -> str:
    """Give the ending that people see; any unique ending is accepted in its place."""
    return str(identifier)[-SHORT_LENGTH:]


def _next_stamp() -> int:
    """Give the time in 1/4096 ms, moved on by one where the clock stands still or goes back."""
    global _last_stamp  # noqa: PLW0603 - the order is the process's
    now = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _last_stamp = max(now, _last_stamp + 1)
        return _last_stamp
