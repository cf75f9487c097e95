"""One event loop for the whole process, in a daemon thread: where threads run what is async."""

import asyncio
import concurrent.futures
import contextvars
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

CANCEL_POLL_SECONDS = 0.2  # how late a cancellation can be noticed
CLEAN_UP_SECONDS = 5.0  # what a cancelled coroutine has for its `finally` blocks


class Cancelled(BaseException):
    """The run or the node was cancelled; not an Exception, so that `except Exception` does not swallow it."""


def run_coroutine(
    coroutine: Coroutine[Any, Any, T],
    timeout: float | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> T:
    """Run a coroutine on the process-wide loop and gives its result to the calling thread.

    1. The caller's context variables are visible inside.
    2. After `timeout` seconds the task is cancelled and TimeoutError raised.
    3. When `cancelled()` turns true (asked every 0.2 s) the task is cancelled and Cancelled raised.
    4. Both wait up to 5 s for the coroutine's own clean-up, then leave it behind.
    """
    try:
        call = _Call(coroutine, _running_loop())
    except BaseException:
        coroutine.close()  # nothing will await it any more
        raise
    return call.wait(timeout, cancelled)


class _Call(Generic[T]):
    """One coroutine on the loop and the thread that waits for it."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        self.coroutine = coroutine
        self.loop = loop
        self.finished = concurrent.futures.Future[T]()
        self.task: asyncio.Task[T] | None = None
        self.stopping = False
        self.context = contextvars.copy_context()
        loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        self.task = self.loop.create_task(self.coroutine, context=self.context)
        self.task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.finished.set_exception(self._cancellation())
        elif error := task.exception():
            self.finished.set_exception(error)
        else:
            self.finished.set_result(task.result())

    def wait(self, timeout: float | None, cancelled: Callable[[], bool] | None) -> T:
        try:
            return self._wait(timeout, cancelled)
        finally:
            if not self.finished.done():  # Ctrl-C, or `cancelled` has raised: nobody waits any more
                self.loop.call_soon_threadsafe(self._cancel)

    def _wait(self, timeout: float | None, cancelled: Callable[[], bool] | None) -> T:
        ends = None if timeout is None else time.monotonic() + timeout
        while not self._done_within(_slice(ends, watched=cancelled is not None)):
            if cancelled is not None and cancelled():
                self._stop()
                raise Cancelled("The work was cancelled.")
            if ends is not None and time.monotonic() >= ends:
                self._stop()
                raise TimeoutError(f"No result after {timeout:g} s.")
        return self.finished.result()

    def _done_within(self, seconds: float | None) -> bool:
        try:
            self.finished.exception(seconds)
        except TimeoutError:
            return self.finished.done()
        return True

    def _stop(self) -> None:
        self.loop.call_soon_threadsafe(self._cancel)
        self._done_within(CLEAN_UP_SECONDS)

    def _cancellation(self) -> BaseException:
        if self.stopping:
            return Cancelled("The work was cancelled.")
        return RuntimeError("The coroutine ended as if it were cancelled, but nobody asked for that.")

    def _cancel(self) -> None:
        self.stopping = True
        if self.task is not None:
            self.task.cancel()


def _slice(ends: float | None, *, watched: bool) -> float | None:
    left = None if ends is None else max(0.0, ends - time.monotonic())
    if not watched:
        return left
    return CANCEL_POLL_SECONDS if left is None else min(CANCEL_POLL_SECONDS, left)


_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread  # noqa: PLW0603 - the one loop of this process
    if threading.current_thread() is _thread:
        raise RuntimeError("Async code must await (acall_tool, astep) instead of calling its blocking twin.")
    if _loop is None:
        with _lock:
            if _loop is None:
                loop = asyncio.new_event_loop()
                _thread = threading.Thread(target=_run_for_ever, args=(loop,), name="orchestra-asyncio", daemon=True)
                _thread.start()
                _loop = loop
    return _loop


def _run_for_ever(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            # asyncio lets these through to whoever runs the loop. The task that raised has it as its error; the
            # others must not wait for ever because one plugin has called sys.exit().
            continue


def _forget_loop() -> None:
    # A forked child has the parent's loop object but not its thread: it starts its own on first use.
    global _lock, _loop, _thread
    _lock, _loop, _thread = threading.Lock(), None, None


os.register_at_fork(after_in_child=_forget_loop)
