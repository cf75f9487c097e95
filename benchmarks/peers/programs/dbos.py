"""DBOS: a client puts workflows on a queue in PostgreSQL, a worker process takes them from there.

Each step is recorded before the next one starts. The worker has as many threads as Orchestra's has slots. A queue is
polled once a second unless told otherwise; both are measured, as most of a short run is waiting for that poll.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig

from benchmarks.contender import Took
from benchmarks.peers.lines import Contenders, serve

POLLING = {"tuned": 0.02, "default": 1.0}  # seconds, by the name of the queue
SUBMITTERS = 4  # threads that enqueue
READY = b"ready\n"


@DBOS.step()
def node(result: dict[str, Any], seconds: float = 0) -> dict[str, Any]:
    """Does nothing, but for waiting where it is told to."""
    if seconds:
        time.sleep(seconds)
    return result


@DBOS.step()
async def item(number: int) -> dict[str, Any]:
    """Does nothing."""
    return {"n": number}


@DBOS.step()
def noted(path: str, seconds: float) -> None:
    """Writes down that it has begun, then takes its time."""
    with Path(path).open("a") as file:
        file.write(f"{time.monotonic()}\n")
    time.sleep(seconds)


@DBOS.workflow()
def chain(nodes: int, seconds: float) -> dict[str, Any]:
    """Steps one after the other."""
    result = {"n": 1}
    for _ in range(nodes):
        result = node(result, seconds)
    return result


@DBOS.workflow()
async def fanout(items: int) -> int:
    """Steps side by side, and their join."""
    return len(await asyncio.gather(*(item(number) for number in range(items))))


@DBOS.workflow()
def interrupted(path: str, seconds: float) -> None:
    """A step that is killed the first time."""
    noted(path, seconds)


class Dbos:
    """The client, with one of the queues."""

    def __init__(self, client: DBOSClient, queue: str, worker: "Worker") -> None:
        self.client, self.queue, self.worker = client, queue, worker
        self.polling = POLLING[queue]

    def chain(self, nodes: int) -> Took:
        """See Contender.chain."""
        return self._timed(lambda: self._wait(self._enqueue("chain", nodes, 0)))

    def fanout(self, items: int) -> Took:
        """See Contender.fanout."""
        return self._timed(lambda: self._wait(self._enqueue("fanout", items)))

    def runs(self, runs: int, nodes: int, seconds: float) -> Took:
        """See Contender.runs."""

        def work() -> None:
            with ThreadPoolExecutor(SUBMITTERS) as pool:
                handles = list(pool.map(lambda _: self._enqueue("chain", nodes, seconds), range(runs)))
            for handle in handles:
                self._wait(handle)

        return self._timed(work)

    def crash(self, seconds: float) -> Took | None:
        """See Contender.crash: the worker is started again at once, as somebody has to."""
        if self.queue != "tuned":
            return None
        with TemporaryDirectory() as directory:
            begun = Path(directory, "begun")
            handle = self._enqueue("interrupted", str(begun), seconds)
            _until(lambda: begun.exists() and begun.read_text().endswith("\n"))
            killed = self.worker.restart()
            _until(lambda: begun.read_text().count("\n") > 1)
            again = float(begun.read_text().splitlines()[1])
            self._wait(handle)
        return Took(again - killed)

    def _timed(self, work: Callable[[], object]) -> Took:
        time.sleep(random.uniform(0, self.polling))  # the poll is at no time that we chose
        began = time.perf_counter()
        work()
        return Took(time.perf_counter() - began)

    def _enqueue(self, workflow: str, *given: Any) -> Any:
        return self.client.enqueue({"workflow_name": workflow, "queue_name": self.queue}, *given)

    def _wait(self, handle: Any) -> None:
        handle.get_result(polling_interval_sec=self.polling)


class Worker:
    """The process that executes; it ends when its input does."""

    def __init__(self, database_url: str, threads: str) -> None:
        self.argv = (sys.executable, "-m", __spec__.name, database_url, threads, "worker")
        self.start()

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if not self.process.stdout or self.process.stdout.readline() != READY:
            raise RuntimeError("The worker of DBOS has not started.")

    def restart(self) -> float:
        """Kill it without warning and start it again; give the time of the kill."""
        self.process.kill()
        killed = time.monotonic()
        self.process.wait()
        self.start()
        return killed


def work(database_url: str, threads: int) -> None:
    """The worker process."""
    config: DBOSConfig = {
        "name": "benchmark",
        "system_database_url": database_url,
        "application_version": "1",
        "max_executor_threads": threads,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    for queue, polling in POLLING.items():
        DBOS.register_queue(queue, polling_interval_sec=polling)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    sys.stdin.read()


@contextmanager
def running(database_url: str, threads: str) -> Iterator[Contenders]:
    """The contenders, with their worker."""
    worker = Worker(database_url, threads)
    client = DBOSClient(system_database_url=database_url, application_name="benchmark")
    name = f"DBOS {version('dbos')}"
    yield {
        f"{name}, polling every 0.02 s": Dbos(client, "tuned", worker),
        f"{name} at its default": Dbos(client, "default", worker),
    }
    worker.process.kill()


def _until(condition: Callable[[], object], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"It has not come to pass in {seconds} s.")
        time.sleep(0.01)


if __name__ == "__main__":
    url, count, *role = sys.argv[1:]
    if role:
        work(url, int(count))
    else:
        serve(lambda: running(url, count))
