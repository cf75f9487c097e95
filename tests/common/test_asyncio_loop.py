import asyncio
import contextvars
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.common.asyncio_loop import Cancelled, run_coroutine


async def later(value, seconds=0.0):
    await asyncio.sleep(seconds)
    return value


def test_the_result_comes_to_the_calling_thread():
    assert run_coroutine(later(42)) == 42


def test_an_error_comes_to_the_calling_thread():
    async def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_coroutine(fail())


def test_a_time_out_of_the_coroutine_is_its_own():
    async def fail():
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        run_coroutine(fail(), timeout=10)


def test_all_calls_share_one_thread():
    async def where():
        return threading.get_ident()

    threads = [threading.Thread(target=lambda: seen.add(run_coroutine(where()))) for _ in range(8)]
    seen = set()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_calls_overlap():
    everybody = asyncio.Barrier(10)

    async def meet():
        return await everybody.wait()

    with ThreadPoolExecutor(10) as threads:
        places = list(threads.map(lambda _: run_coroutine(meet(), timeout=60), range(10)))

    assert sorted(places) == list(range(10))


def test_context_variables_of_the_caller_are_seen():
    variable = contextvars.ContextVar("variable")
    variable.set("caller's")

    async def read():
        return variable.get()

    assert run_coroutine(read()) == "caller's"


def test_a_time_out_stops_the_coroutine():
    ended = []

    async def work():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cleaned up")

    with pytest.raises(TimeoutError, match=r"No result after 0\.1 s"):
        run_coroutine(work(), timeout=0.1)

    assert ended == ["cleaned up"]


def test_a_cancellation_stops_the_coroutine():
    with pytest.raises(Cancelled):
        run_coroutine(later(1, 3600), cancelled=lambda: True)


def test_a_coroutine_that_ends_as_it_is_stopped_is_stopped_all_the_same():
    async def stubborn():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "done"

    with pytest.raises(TimeoutError):
        run_coroutine(stubborn(), timeout=0.05)


def test_a_coroutine_that_cancels_itself_has_failed():
    async def odd():
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="nobody asked"):
        run_coroutine(odd())


def test_a_coroutine_that_exits_does_not_end_the_others():
    async def leave():
        raise SystemExit(3)

    async def leave_in_a_task():
        await asyncio.gather(leave())

    for odd in (leave, leave_in_a_task):
        with pytest.raises(SystemExit):
            run_coroutine(odd(), timeout=5)

    assert run_coroutine(later(42), timeout=5) == 42


def test_an_error_of_the_question_stops_the_coroutine():
    ended = threading.Event()

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    def broken():
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_coroutine(work(), cancelled=broken)

    assert ended.wait(1)


def test_broad_handlers_do_not_swallow_a_cancellation():
    assert not issubclass(Cancelled, Exception)


def test_a_blocking_call_on_the_loop_itself_is_refused_at_once():
    async def mistake():
        return run_coroutine(later(1))

    with pytest.raises(RuntimeError, match="must await"):
        run_coroutine(mistake())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_a_loop_of_its_own():
    run_coroutine(later(1))
    child = os.fork()
    if child == 0:
        os._exit(run_coroutine(later(7), timeout=5))

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
