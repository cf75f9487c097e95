"""Telling workers and watchers, after the commit and never in anybody's way.

Both are hints: the queued row is the outbox, the event row the history. What is lost here is found
by the recovery or by a reader's next look, so nothing waits for the broker and nothing fails with it.
"""

import atexit
import os
import threading
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import structlog
from celery import Celery
from django.conf import settings
from django.utils.module_loading import import_string

from apps.common import failpoints
from apps.common.redis import client

WORK_TASK = "workflows.work"
CHANNEL = "orchestra:runs"  # each message is the id of a run that has new events
MOST_HINTS = 4  # messages of one go for one queue: whoever hears one looks for work for all its idle slots
MOST_WAITING = 10_000
REST_SECONDS = 0.004  # between two goes, so that what comes thick is sent together
FINISH_SECONDS = 1.5  # that a process which ends waits for Redis

log = structlog.get_logger(__name__)


def hint(node_runs: Iterable[tuple[UUID, str]]) -> None:
    """Tells the workers of claimable node runs, each with its queue."""
    failpoints.reach("after_commit_before_publish")
    if found := [(name, str(node_run)) for node_run, name in node_runs]:
        _publisher().put_hints(found)


def wake(run: UUID, *, urgent: bool = False) -> None:
    """Tells the watchers of a run that it has new events; an urgent wake-up waits for no others."""
    _publisher().put_wake(str(run), urgent=urgent)


class _Publisher:
    """A thread that sends, so that nobody else waits for Redis."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._hints: dict[str, str] = {}  # the queue of each node run
        self._wakes: dict[str, None] = {}
        self._urgent = self._sending = False
        self._changed = threading.Condition()
        threading.Thread(target=self._send_for_ever, name="publisher", daemon=True).start()
        atexit.register(self.finish)

    def put_hints(self, hints: Collection[tuple[str, str]]) -> None:
        with self._changed:
            for name, node_run in hints:
                if len(self._hints) < MOST_WAITING:  # Redis has been away for long; the recovery finds the rows
                    self._hints[node_run] = name
            self._changed.notify_all()

    def put_wake(self, run: str, *, urgent: bool) -> None:
        with self._changed:
            if len(self._wakes) < MOST_WAITING:
                self._wakes[run] = None
            self._urgent |= urgent
            self._changed.notify_all()

    def finish(self) -> None:
        """Sends what is left before the process ends; a command's first hint would else never leave it."""
        with self._changed:
            if self.pid == os.getpid():
                self._urgent = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not (self._hints or self._wakes or self._sending), FINISH_SECONDS)

    def _send_for_ever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._hints or self._wakes)
                hints, wakes = self._hints, self._wakes
                self._hints, self._wakes, self._urgent, self._sending = {}, {}, False, True
            try:
                _send(hints, wakes)
            except Exception as error:  # noqa: BLE001 - the thread outlives whatever the broker does
                log.debug("Could not publish.", action="publish_failed", error=str(error))
            with self._changed:
                self._sending = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._urgent, REST_SECONDS)


def _send(hints: dict[str, str], runs: Collection[str]) -> None:
    by_queue: dict[str, list[str]] = {}
    for node_run, name in hints.items():
        by_queue.setdefault(name, []).append(node_run)
    for name, node_runs in by_queue.items():
        for node_run in node_runs[:MOST_HINTS]:
            _celery().send_task(WORK_TASK, [node_run], queue=name, ignore_result=True, retry=False)
    if runs:
        pipeline = client().pipeline(transaction=False)
        for run in runs:
            pipeline.publish(CHANNEL, run)
        pipeline.execute()


_lock = threading.Lock()
_current: _Publisher | None = None


def _publisher() -> _Publisher:
    """The process's own publisher; a forked child makes a new one."""
    global _current  # noqa: PLW0603 - one per process
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = _Publisher()
        return _current


def _celery() -> "Celery[Any]":
    app: Celery[Any] = import_string(settings.CELERY_APP.replace(":", "."))
    return app
