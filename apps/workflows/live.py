"""Waking those who wait for news of a run: one subscription per process, however many wait.

A wake-up says only that there may be news; the rows say what. When Redis is silent nobody is woken,
and everybody looks for themselves now and then.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from apps.workflows.dispatch import CHANNEL, ENDED

LISTEN_SECONDS = 1.0

log = structlog.get_logger(__name__)


class _Watch:
    """The process's subscription, and whom to wake for which run."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.listening = False
        self._callbacks: dict[str, set[Callable[[], object]]] = defaultdict(set)  # by message
        self._lock = threading.Lock()
        threading.Thread(target=self._listen_for_ever, name="watch", daemon=True).start()

    def add(self, message: str, callback: Callable[[], object]) -> None:
        with self._lock:
            self._callbacks[message].add(callback)

    def remove(self, message: str, callback: Callable[[], object]) -> None:
        with self._lock:
            self._callbacks[message].discard(callback)
            if not self._callbacks[message]:
                del self._callbacks[message]

    def _listen_for_ever(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._listen()
            except (RedisError, OSError) as error:
                self.listening = False
                log.debug("Live updates are down.", action="watch_failed", error=str(error))
                pause.wait(LISTEN_SECONDS)

    def _listen(self) -> None:
        connection = Redis.from_url(
            settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=2, health_check_interval=5
        )
        with connection, connection.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(CHANNEL)
            while True:
                message = subscription.get_message(timeout=LISTEN_SECONDS)
                self.listening = True
                if message is not None:
                    self._wake(message["data"].decode())

    def _wake(self, message: str) -> None:
        with self._lock:
            callbacks = list(self._callbacks.get(message, ()))
        for callback in callbacks:
            callback()


_lock = threading.Lock()
_current: _Watch | None = None


def _watch() -> _Watch:
    global _current  # noqa: PLW0603 - one per process
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = _Watch()
        return _current


def is_listening() -> bool:
    """Whether wake-ups arrive at the moment."""
    return _watch().listening


@contextmanager
def woken(run: UUID, callback: Callable[[], object], *, by_news: bool = True) -> Iterator[None]:
    """Calls `callback` (from another thread) when the run may have ended, and whenever there may be news of it."""
    watch = _watch()
    messages = [f"{run}{ENDED}", str(run)] if by_news else [f"{run}{ENDED}"]
    for message in messages:
        watch.add(message, callback)
    try:
        yield
    finally:
        for message in messages:
            watch.remove(message, callback)
