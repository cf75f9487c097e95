"""Celery's canvas on the same Valkey: chains and a chord. It is not durable: what a dying worker held is lost."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery import chain, chord
from celery.canvas import Signature

from benchmarks.contender import Took
from benchmarks.house import House, also_running
from benchmarks.peers.canvas_tasks import app, join, node
from orchestra.supervisor import Program

GET_SECONDS = 30  # per answer; the canvas now and then waits for one that never comes
LONGEST_CHAIN = 300  # the rest of a chain travels in every message of it


class Canvas:
    """One Celery worker with as many threads as Orchestra's has slots."""

    name = "Celery canvas (not durable)"

    def chain(self, nodes: int) -> Took | None:
        """See Contender.chain."""
        return _timed(lambda: _chain(nodes, 0).apply_async().get(GET_SECONDS)) if nodes <= LONGEST_CHAIN else None

    def fanout(self, items: int) -> Took:
        """See Contender.fanout."""
        return _timed(lambda: chord((node.s({"n": n}) for n in range(items)), join.s()).apply_async().get(GET_SECONDS))

    def runs(self, runs: int, nodes: int, seconds: float) -> Took:
        """See Contender.runs."""

        def work() -> None:
            results = [_chain(nodes, seconds).apply_async() for _ in range(runs)]
            for result in results:
                result.get(GET_SECONDS)

        return _timed(work)


@contextmanager
def running_canvas(house: House, threads: int) -> Iterator[Canvas]:
    """The contender with its worker, on a database of its own in Orchestra's Valkey."""
    url = house.valkey.url.removesuffix("/0") + "/1"
    app.conf.update(broker_url=url, result_backend=url)
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    argv = (
        *(sys.executable, "-m", "celery", "--quiet", "--app", "benchmarks.peers.canvas_tasks", "worker"),
        *("--pool=threads", f"--concurrency={threads}", "--hostname=canvas@%h"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )
    with also_running(house, Program("canvas", argv, environment | {"CANVAS_URL": url})):
        node.delay({}).get(GET_SECONDS)
        yield Canvas()


def _chain(nodes: int, seconds: float) -> Signature:
    return chain(node.s({"n": 1}, seconds), *(node.s(seconds) for _ in range(nodes - 1)))


def _timed(work: Callable[[], object]) -> Took:
    began = time.perf_counter()
    work()
    return Took(time.perf_counter() - began)
