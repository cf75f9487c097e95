"""Workload F: memory before any model is called, and how soon everything is ready."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.house import memory, memory_of, restart_workers
from benchmarks.ours import Ours
from benchmarks.peers.process import PeerProcess
from benchmarks.report import Row
from benchmarks.sizes import Sizes
from orchestra import embedded
from orchestra.programs import FORK_SERVERS
from orchestra.settings import BASE_DIR

MEMORY_TO_REACH, READY_TO_REACH, PRODUCT_TO_REACH = 250, 1.5, 8  # MiB, seconds, seconds
PORT = 18600
SAYS_READY = "Ctrl-C stops everything"
IDLE = "import django, celery, psycopg, sys; print(flush=True); sys.stdin.read()"


def measure(ours: Ours, peers: Sequence[PeerProcess], sizes: Sizes) -> Iterator[Row]:
    """Memory, a worker's start, and a start of the whole product that has run before."""
    times = [restart_workers(ours.house, 1) for _ in range(sizes.repeats)]
    bare_memory, bare_seconds = _bare_python()
    memories = {peer.name: memory(peer.process.pid) for peer in peers}
    yield Row(
        "F. memory of web, worker and what forks them",
        memory_of(ours.house, *FORK_SERVERS, "web", "worker"),
        "MiB",
        MEMORY_TO_REACH,
        {"Python with Django and Celery": bare_memory, **memories},
    )
    seconds = {peer.name: peer.ready_seconds for peer in peers}
    yield Row(
        "F. a worker is ready",
        min(times),
        "s",
        READY_TO_REACH,
        {"Python with Django and Celery": bare_seconds, **seconds},
    )
    home = ours.house.home / "product"
    try:
        first, again = (_start_product(home) for _ in range(2))
    finally:
        embedded.remove_state(home)
    yield Row("F. bin/up, started before", again, "s", PRODUCT_TO_REACH, {"its very first start": first})


def _bare_python() -> tuple[float, float]:
    """MiB and seconds of a process that has only imported what ours is made of."""
    began = time.perf_counter()
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", IDLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout  # noqa: S101 - for the type checker
        process.stdout.readline()
        return memory(process.pid), time.perf_counter() - began


def _start_product(home: Path) -> float:
    """Seconds from `bin/up` until it says that it is ready."""
    began = time.perf_counter()
    environment = _without_ours(os.environ) | {"ORCHESTRA_HOME": str(home)}
    argv = [str(BASE_DIR / "bin" / "up"), "--port", str(embedded.free_port(PORT))]
    with subprocess.Popen(  # noqa: S603 - our own command
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout  # noqa: S101 - for the type checker
        try:
            said = next((line for line in process.stdout if SAYS_READY in line), None)
            took = time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()
    if said is None:
        raise RuntimeError("bin/up has not started.")
    return took


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    ours = ("ORCHESTRA_", "DATABASE_URL", "REDIS_URL", "DJANGO_")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}
