"""What Celery runs: hints for workers, and the worker's life."""

import os
from typing import Any

from celery import bootsteps, shared_task
from celery.signals import worker_shutdown, worker_shutting_down
from django.conf import settings

from apps.workflows.dispatch import WORK_TASK
from apps.workflows.worker.runtime import WorkerRuntime

_runtime: WorkerRuntime | None = None


@shared_task(name=WORK_TASK, ignore_result=True)
def work(node_run: str) -> None:  # noqa: ARG001
    """A hint: this node run may be claimable, or another by now; the rows say what is."""
    if _runtime is not None:
        _runtime.hear_hint()


class Engine(bootsteps.StartStopStep):
    """Begins before the consumer, which waits for the broker for as long as that is away: the work goes on by polling.

    When steps begin, Celery has taken over SIGTERM already.
    """

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:  # noqa: ARG002
        """Take up work."""
        global _runtime  # noqa: PLW0603 - one worker per process
        _runtime = WorkerRuntime()
        _runtime.start()


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    if _runtime is not None:
        _runtime.drain()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    if _runtime is not None:
        _runtime.stop(settings.ORCHESTRA_DRAIN_SECONDS)
        os._exit(0)  # a thread that is stuck in a node must not keep the process
