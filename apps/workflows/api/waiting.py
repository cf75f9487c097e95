"""Answering a start at once, or when the run has ended."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import run_once
from apps.common.database import release_connection
from apps.common.json import JSON
from apps.common.parameters import number
from apps.workflows import live, selectors
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.models import Run
from apps.workflows.serializers.runs import started_run
from apps.workflows.services import queue_limit

MOST_SECONDS = 60
WAIT = number(
    0, MOST_SECONDS, description="Hold the answer until the run ends, so many seconds at the most.", default=0
)
LOOK_SECONDS = 1.0  # without a wake-up
_room = threading.BoundedSemaphore(16)  # answers that may be held at once; half of the web's threads stay free


def answer_when_ended(
    view: OrganizationView,
    request: Request,
    start: Callable[[], UUID],
    *,
    show: Callable[[Run], dict[str, JSON]] = started_run,
    show_new: Callable[[UUID], dict[str, JSON]] | None = None,
) -> Response:
    """Starts a run once per Idempotency-Key and answers 202, or 200 when it ends within `?wait=` seconds.

    When too many answers are held already, this one is given at once. `show` gives the answer's body, with an `id`;
    `show_new` that of a run which has just been added, where that takes no reading.
    """

    def begin() -> dict[str, JSON]:
        queue_limit.admit(view.access.organization)
        run = start()
        return show_new(run) if show_new else show(selectors.find_run(run))

    accepted = run_once(request, lambda: (202, begin()), is_transaction=True)
    seconds = view.query_values.get("wait") or 0
    if not seconds or not _room.acquire(blocking=False):
        return accepted
    try:
        run = wait_for_end(accepted.data["id"], seconds)
    finally:
        _room.release()
    answer = Response(show(run), status=200 if run.status in RUN_ENDED else 202)
    for name, value in accepted.headers.items():
        answer.headers[name] = value
    return answer


def wait_for_end(run: str, seconds: float) -> Run:
    """The run as it is when it has ended or the time is over."""
    ends = time.monotonic() + seconds
    news = threading.Event()
    with live.woken(UUID(run), news.set, by_news=False):
        while True:
            current = selectors.find_run(run)
            left = ends - time.monotonic()
            if current.status in RUN_ENDED or left <= 0:
                return current
            release_connection()
            news.wait(min(left, LOOK_SECONDS if live.is_listening() else LOOK_SECONDS / 10))
            news.clear()
