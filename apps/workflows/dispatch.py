"""Telling workers and watchers, after the commit and never in anybody's way.

Both are hints: the queued row is the outbox, the event row the history. What is lost here is found
by the recovery or by a reader's next look, so nothing waits for the broker and nothing fails with it.
"""

import atexit
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import structlog
from celery import Celery
from django.conf import settings
from django.utils.module_loading import import_string

from apps.common import failpoints
from apps.common.redis import client

WORK_TASK = "workflows.work"
CHANNEL = "orchestra:runs"  # each message is the id of a run that has new events, and ENDED behind it after its last
ENDED = " ended"
MOST_HINTS = 2  # messages of one go for one queue: whoever hears one looks for work for all its idle slots
HINT_SECONDS = 0.02  # between two goes; a message costs its reader more than a node, and the first waits for nothing
WAKE_SECONDS = 0.02  # between two goes; what comes at an end waits for nothing
TEXTS = "orchestra:texts:"  # and a run: what models have said so far, by node run
TEXT_SECONDS = 600  # that it stays where nobody takes it away
TEXT_PAUSE_SECONDS = 0.1  # between two goes
MOST_WAITING = 10_000
FINISH_SECONDS = 1.5  # that a process which ends waits for Redis

log = structlog.get_logger(__name__)


def hint(node_runs: Iterable[tuple[UUID, str]]) -> None:
    """Tells the workers of claimable node runs, each with its queue."""
    failpoints.reach("after_commit_before_publish")
    if found := {str(node_run): name for node_run, name in node_runs}:
        _publishers().hints.put(found)


def wake(run: UUID, *, ended: bool = False) -> None:
    """Tells the watchers of a run that it has new events, and at once when these are its last."""
    _publishers().wakes.put({str(run): ENDED if ended else ""}, urgent=ended)


def show_text(run: UUID, node_run: UUID, text: str) -> None:
    """Shows the watchers of a run what a model says to a node, as `live_texts` reads it; nothing takes it away."""
    _publishers().texts.put({f"{run} {node_run}": text}, urgent=not text)


class _Publisher:
    """A thread that sends what has gathered, so that nobody else waits for Redis."""

    def __init__(self, name: str, send: Callable[[dict[str, str]], None], rest: float) -> None:
        self.pid = os.getpid()
        self._send, self._rest = send, rest
        self._waiting: dict[str, str] = {}
        self._urgent = self._sending = False
        self._changed = threading.Condition()
        threading.Thread(target=self._send_for_ever, name=name, daemon=True).start()
        atexit.register(self.finish)

    def put(self, messages: dict[str, str], *, urgent: bool = False) -> None:
        with self._changed:
            if len(self._waiting) < MOST_WAITING:  # Redis has been away for long; the recovery finds the rows
                self._waiting |= messages
            self._urgent |= urgent
            self._changed.notify_all()

    def finish(self) -> None:
        """Sends what is left before the process ends; a command's first hint would else never leave it."""
        with self._changed:
            if self.pid == os.getpid():
                self._urgent = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not (self._waiting or self._sending), FINISH_SECONDS)

    def _send_for_ever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                messages, self._waiting = self._waiting, {}
                self._urgent, self._sending = False, True
            try:
                self._send(messages)
            except Exception as error:  # noqa: BLE001 - the thread outlives whatever the broker does
                log.debug("Could not publish.", action="publish_failed", error=str(error))
            with self._changed:
                self._sending = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._urgent, self._rest)


def _send_hints(queues: dict[str, str]) -> None:
    sent: Counter[str] = Counter()
    for node_run, name in queues.items():
        sent[name] += 1
        if sent[name] <= MOST_HINTS:
            _celery().send_task(WORK_TASK, [node_run], queue=name, ignore_result=True, retry=False)


def _send_wakes(runs: dict[str, str]) -> None:
    pipeline = client().pipeline(transaction=False)
    for run, end in runs.items():
        pipeline.publish(CHANNEL, run + end)
    pipeline.execute()


def _send_texts(texts: dict[str, str]) -> None:
    by_run: dict[str, dict[str, str]] = defaultdict(dict)
    for place, text in texts.items():
        run, node_run = place.split()
        by_run[run][node_run] = text
    pipeline = client().pipeline(transaction=False)
    for run, of_nodes in by_run.items():
        _set_texts(pipeline, TEXTS + run, of_nodes)
        pipeline.publish(CHANNEL, run)
    pipeline.execute()


def _set_texts(pipeline: Any, key: str, texts: dict[str, str]) -> None:
    if said := {node_run: text for node_run, text in texts.items() if text}:
        pipeline.hset(key, mapping=said)
        pipeline.expire(key, TEXT_SECONDS)
    if silent := [node_run for node_run, text in texts.items() if not text]:
        pipeline.hdel(key, *silent)


class _Publishers:
    """Those of one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.hints = _Publisher("hints", _send_hints, HINT_SECONDS)
        self.wakes = _Publisher("wakes", _send_wakes, WAKE_SECONDS)
        self.texts = _Publisher("texts", _send_texts, TEXT_PAUSE_SECONDS)


_lock = threading.Lock()
_current: _Publishers | None = None


def _publishers() -> _Publishers:
    """The process's own; a forked child makes new ones."""
    global _current  # noqa: PLW0603 - one per process
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = _Publishers()
        return _current


def _celery() -> "Celery[Any]":
    app: Celery[Any] = import_string(settings.CELERY_APP.replace(":", "."))
    return app
