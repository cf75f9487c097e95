"""The one Redis client of a process. What Redis holds are hints: callers go on without it when it is silent.

Its library is imported when Redis is asked for the first time: that takes a quarter of the start of a command, and few
of them ask.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import structlog
from django.conf import settings

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

ANSWER_SECONDS = 0.25  # longer than any healthy answer takes, shorter than anybody notices
REST_SECONDS = 5.0  # how long a silent Redis is left alone, so that it slows down one request and not all

log = structlog.get_logger(__name__)

_silent_until = 0.0


@cache
def client() -> "Redis":
    """Give the client; it fails fast instead of trying again."""
    from redis import Redis  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def ask(question: Callable[["Redis"], T]) -> T | None:
    """Give Redis's answer, or None when it gives none (or gave none a moment ago)."""
    from redis.exceptions import RedisError  # noqa: PLC0415

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
