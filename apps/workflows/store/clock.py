"""The database's clock, the only one that decides, as it is known here between two looks at it.

A round trip for every look would cost as much as the write it is for. So every statement that tells the time is
heard, and for a few seconds the rest is measured with this process's monotonic clock, which lags by the way back of
the answer and never runs ahead.
"""

import time
from datetime import datetime, timedelta

from apps.workflows.store.database import Transaction

TRUSTED_SECONDS = 5.0  # how long what the database has told is believed without asking again
_heard: tuple[datetime, float] | None = None


def heard(moment: datetime) -> datetime:
    """Notes what the database has just said; gives it back."""
    global _heard  # noqa: PLW0603 - one clock
    _heard = (moment, time.monotonic())
    return moment


def now(tx: Transaction) -> datetime:
    """The time on the database's clock; asked for when it has not been heard of for a while."""
    if _heard is not None:
        moment, at = _heard
        passed = time.monotonic() - at
        if passed < TRUSTED_SECONDS:
            return moment + timedelta(seconds=passed)
    return heard(tx.value("select clock_timestamp()"))
