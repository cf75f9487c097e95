"""Connect a running Django to services that started after it read its settings."""

import contextlib

from django.conf import settings
from django.db import connections

from orchestra.settings import database


def point_django_at(database_url: str, redis_url: str) -> None:
    """Make this process use another PostgreSQL and another Redis than its settings name."""
    settings.DATABASES["default"] = database(database_url)
    connections.settings = connections.configure_settings(settings.DATABASES)
    with contextlib.suppress(AttributeError):  # there is none yet
        del connections["default"]
    settings.REDIS_URL = settings.CELERY_BROKER_URL = redis_url
