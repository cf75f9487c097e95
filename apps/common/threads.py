"""Work of plugins on a thread of its own, so that the caller can stop waiting for it."""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from apps.common.database import release_connection
from apps.common.errors import Unavailable

T = TypeVar("T")

MOST_AT_ONCE = 32  # threads of one process, also counting those that nobody waits for any more
_slots = threading.BoundedSemaphore(MOST_AT_ONCE)


def run_bounded(work: Callable[[Callable[[], bool]], T], timeout: float) -> T:
    """Give what `work(cancelled)` gives, or raise TimeoutError after `timeout` seconds; `cancelled()` is true then.

    A thread cannot be killed: work that does not ask `cancelled` goes on unseen and keeps its slot. When no slot is
    free, Unavailable is raised.
    """
    if not _slots.acquire(blocking=False):
        raise Unavailable("Too many calls are running at the moment.", code="busy", retry_after=1)
    given_up = threading.Event()
    result: Future[T] = Future()
    context = contextvars.copy_context()
    # A daemon, and no thread pool: hung work must not keep the process from ending.
    threading.Thread(target=context.run, args=(_run, work, given_up.is_set, result), daemon=True).start()
    release_connection()
    try:
        return result.result(timeout)
    except TimeoutError:
        if result.done():
            raise  # it was the work's own
        given_up.set()
        raise TimeoutError(f"No result within {timeout:g} s.") from None


def _run(work: Callable[[Callable[[], bool]], T], cancelled: Callable[[], bool], result: "Future[T]") -> None:
    try:
        result.set_result(work(cancelled))
    except BaseException as error:  # noqa: BLE001 - also Cancelled and SystemExit: the caller decides
        result.set_exception(error)
    finally:
        release_connection()
        _slots.release()
