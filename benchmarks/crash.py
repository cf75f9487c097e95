"""Workload E: `kill -9` of the worker in the middle of a node, until the next attempt at that node begins."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection
from django_scopes import scope

from apps.workflows.models import Attempt, NodeRun, Worker
from benchmarks.house import restart_workers, wait_until
from benchmarks.measuring import quantile
from benchmarks.ours import Ours, chain_of
from benchmarks.peers.process import PeerProcess
from benchmarks.report import Row
from benchmarks.sizes import Sizes

NODE_SECONDS = 1.5  # long enough to be killed in the middle of
ANOTHER_TO_REACH, RESTARTED_TO_REACH = 3.0, 1.5  # seconds


def measure(ours: Ours, peers: Sequence[PeerProcess], sizes: Sizes) -> Iterator[Row]:
    """With another worker alive, and where the one that died is started again; the slowest of some kills."""
    ready = restart_workers(ours.house, 1)
    reference = {"the start of a worker": ready}
    another = [_kill(ours, workers=2) for _ in range(sizes.kills)]
    yield Row("E. kill -9, another worker lives", quantile(another, 0.99), "s", ANOTHER_TO_REACH, reference)
    restarted = [_kill(ours, workers=1) for _ in range(sizes.kills)]
    crashed = {peer.name: peer.crash(NODE_SECONDS) for process in peers for peer in process.contenders}
    others = {name: took.seconds for name, took in crashed.items() if took}
    what = "E. kill -9, the worker is started again"
    yield Row(what, quantile(restarted, 0.99), "s", RESTARTED_TO_REACH, reference | others)
    restart_workers(ours.house, 1)


def _kill(ours: Ours, workers: int) -> float:
    """Seconds by the database's clock from the kill to the next attempt."""
    restart_workers(ours.house, workers)
    version = ours.saved("crash", json.dumps(chain_of(1, NODE_SECONDS)))
    with scope(organization=ours.organization):
        run = ours.start(version)
        node_run = _running(run)
        killed = _now()
        os.kill(Worker.objects.get(pk=str(node_run.worker)).pid, signal.SIGKILL)
        attempts = Attempt.objects.filter(node_run=node_run)
        wait_until(lambda: attempts.count() > 1, "nobody has tried the node again")
        again = attempts.order_by("fence")[1].started_at
    ours.wait_until_idle()
    return float((again - killed).total_seconds())


def _running(run: UUID) -> NodeRun:
    running = NodeRun.objects.filter(run_id=run, status="running")
    wait_until(running.exists, "nobody has begun the node")
    return running.get()


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
