"""Prefect 3: a server of its own, flows in this process. A flow's state is kept by the server; a task's result is not.

Deployed flows, which a worker polls for every ten seconds, are not measured. The server's database is PostgreSQL where
that has the extension pg_trgm, which Prefect asks for, and else the SQLite file that is Prefect's default.
"""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.contender import Took
from benchmarks.peers.lines import Contenders, serve

READY_SECONDS = 90
LONGEST_CHAIN = 300  # longer ones take minutes
MOST_AT_ONCE = 8  # of more flows at a time the server refuses some (503)
QUIET = {
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


class Prefect:
    """Flows of this process. Prefect reads its settings when it is imported, so that comes late."""

    def __init__(self) -> None:
        from prefect import flow, task  # noqa: PLC0415

        @task(persist_result=False)
        def node(result: dict[str, Any]) -> dict[str, Any]:
            return result

        @task(persist_result=False)
        async def waiting_node(result: dict[str, Any], seconds: float) -> dict[str, Any]:
            if seconds:
                await asyncio.sleep(seconds)
            return result

        @flow(persist_result=False)
        def chain(nodes: int) -> dict[str, Any]:
            result = {"n": 1}
            for _ in range(nodes):
                result = node(result)
            return result

        @flow(persist_result=False)
        def fanout(items: int) -> int:
            return len(node.map([{"n": number} for number in range(items)]).result())

        @flow(persist_result=False)
        async def waiting_chain(nodes: int, seconds: float) -> dict[str, Any]:
            result = {"n": 1}
            for _ in range(nodes):
                result = await waiting_node(result, seconds)
            return result

        self._chain, self._fanout, self._waiting_chain = chain, fanout, waiting_chain

    def chain(self, nodes: int) -> Took | None:
        """See Contender.chain."""
        if nodes > LONGEST_CHAIN:
            return None
        began = time.perf_counter()
        self._chain(nodes)
        return Took(time.perf_counter() - began)

    def fanout(self, items: int) -> Took:
        """See Contender.fanout."""
        began = time.perf_counter()
        self._fanout(items)
        return Took(time.perf_counter() - began)

    def runs(self, runs: int, nodes: int, seconds: float) -> Took:
        """See Contender.runs."""

        async def work() -> None:
            places = asyncio.Semaphore(MOST_AT_ONCE)

            async def one() -> None:
                async with places:
                    await self._waiting_chain(nodes, seconds)

            await asyncio.gather(*(one() for _ in range(runs)))

        began = time.perf_counter()
        asyncio.run(work())
        return Took(time.perf_counter() - began)


@contextmanager
def running(database_url: str, port: str, with_trigrams: str) -> Iterator[Contenders]:
    """The contender, with its server."""
    with TemporaryDirectory() as home:
        url = f"http://127.0.0.1:{port}/api"
        os.environ.update(QUIET, PREFECT_HOME=home, PREFECT_API_URL=url)
        on_postgres = with_trigrams == "yes"
        if on_postgres:
            os.environ["PREFECT_API_DATABASE_CONNECTION_URL"] = database_url.replace("://", "+asyncpg://", 1)
        with _server(port):
            place = "PostgreSQL" if on_postgres else "SQLite"
            yield {f"Prefect {version('prefect')} (tasks not durable, server on {place})": Prefect()}


@contextmanager
def _server(port: str) -> Iterator[None]:
    argv = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr) as server:  # noqa: S603
        try:
            _wait_ready(server, f"http://127.0.0.1:{port}/api/health")
            yield
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(3)
            server.kill()


def _wait_ready(server: subprocess.Popen[bytes], url: str) -> None:
    ends = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
            return
        time.sleep(0.1)
    raise RuntimeError("The server of Prefect has not started.")


if __name__ == "__main__":
    serve(lambda: running(*sys.argv[1:]))
