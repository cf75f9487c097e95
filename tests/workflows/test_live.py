"""Wake-ups: who hears that a run has news, and who only that it has ended."""

import threading
from uuid import uuid4

import pytest

from apps.workflows import dispatch, live

pytestmark = pytest.mark.django_db
SOON = 5.0  # seconds a message may take through Redis and two threads


def test_who_waits_for_the_end_is_not_woken_by_every_event() -> None:
    run, other = uuid4(), uuid4()
    news, ended, after_news = threading.Event(), threading.Event(), threading.Event()
    with live.woken(run, news.set), live.woken(run, ended.set, by_news=False), live.woken(other, after_news.set):
        _until_listening()

        dispatch.wake(run)
        assert news.wait(SOON)
        dispatch.wake(other)  # comes after the first, on the same way
        assert after_news.wait(SOON)
        assert not ended.is_set()

        news.clear()
        dispatch.wake(run, ended=True)
        assert ended.wait(SOON)
        assert news.wait(SOON)


def _until_listening() -> None:
    heard = threading.Event()
    marker = uuid4()
    with live.woken(marker, heard.set):
        for _ in range(int(SOON / 0.1)):
            dispatch.wake(marker)
            if heard.wait(0.1):
                return
    raise AssertionError("Nobody listens to Redis.")
