"""The one Redis client of a process. What Redis holds are hints: callers go on without it when it is silent."""

import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import structlog
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

T = TypeVar("T")

ANSWER_SECONDS = 0.25  # longer than any healthy answer takes, shorter than anybody notices
REST_SECONDS = 5.0  # how long a silent Redis is left alone, so that it slows down one request and not all

log = structlog.get_logger(__name__)

_silent_until = 0.0


@cache
def client() -> Redis:
    """Give the client; it fails fast instead of trying again."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def ask(question: Callable[[Redis], T]) -> T | None:
    """Give Redis's answer, or None when it gives none (or gave none a moment ago)."""
    global _silent_until  # noqa: PLW0603 - one state for the one client
    if time.monotonic() < _silent_until:
        return None
    try:
        return question(client())
    except RedisError as error:
        _silent_until = time.monotonic() + REST_SECONDS
        log.warning("Redis does not answer.", action="redis_silent", error=str(error), rest_seconds=REST_SECONDS)
        return None


def forget_silence() -> None:
    """Ask Redis again at once, as a test or a health check wants it."""
    global _silent_until  # noqa: PLW0603
    _silent_until = 0.0
