"""The time of this process. What decides something (leases, due times) is compared by the database's clock instead."""

from datetime import datetime

from django.utils import timezone


def now() -> datetime:
    """Give the current time in UTC."""
    return timezone.now()
