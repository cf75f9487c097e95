"""Telling workers and watchers, after the commit and never in anybody's way.

Both are hints: the queued row is the outbox, the event row the history. What is lost here is found
by the recovery or by a reader's next look, so nothing waits for the broker and nothing fails with it.
"""

import atexit
import os
import queue
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
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
MOST_WAITING = 10_000
MOST_SENT = 200  # messages of one go
FINISH_SECONDS = 1.5  # that a process which ends waits for Redis
MOST_HINTS = 64  # of one transaction; a worker that is done with one run looks for the next itself

log = structlog.get_logger(__name__)


def hint(node_runs: Iterable[tuple[UUID, str]]) -> None:
    """Tells the workers of claimable node runs, each with its queue."""
    failpoints.reach("after_commit_before_publish")
    for node_run, name in list(node_runs)[:MOST_HINTS]:
        _publisher().put(("hint", str(node_run), name))


def wake(run: UUID) -> None:
    """Tells the watchers of a run that it has new events."""
    _publisher().put(("wake", str(run), ""))


class _Publisher:
    """A thread that sends, so that nobody else waits for Redis."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.waiting: queue.Queue[tuple[str, str, str]] = queue.Queue(MOST_WAITING)
        threading.Thread(target=self._send_for_ever, name="publisher", daemon=True).start()
        atexit.register(self.finish)

    def finish(self) -> None:
        """Sends what is left before the process ends; a command's first hint would else never leave it."""
        ends = time.monotonic() + FINISH_SECONDS
        while self.pid == os.getpid() and self.waiting.unfinished_tasks and time.monotonic() < ends:
            time.sleep(0.01)

    def put(self, message: tuple[str, str, str]) -> None:
        with suppress(queue.Full):  # Redis has been away for long; the recovery finds the rows
            self.waiting.put_nowait(message)

    def _send_for_ever(self) -> None:
        while True:
            batch = [self.waiting.get()]
            while len(batch) < MOST_SENT and not self.waiting.empty():
                batch.append(self.waiting.get_nowait())
            try:
                self._send(dict.fromkeys(batch))
            except Exception as error:  # noqa: BLE001 - the thread outlives whatever the broker does
                log.debug("Could not publish.", action="publish_failed", error=str(error), messages=len(batch))
            for _ in batch:
                self.waiting.task_done()

    def _send(self, batch: Iterable[tuple[str, str, str]]) -> None:
        messages = list(batch)
        for kind, identifier, name in messages:
            if kind == "hint":
                _celery().send_task(WORK_TASK, [identifier], queue=name, ignore_result=True, retry=False)
        runs = [identifier for kind, identifier, _ in messages if kind == "wake"]
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
