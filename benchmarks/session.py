"""One session of measuring, from the empty house to the table."""

import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import celery
import django
from django.db import connection

from benchmarks import chain, fanout, latency, throughput
from benchmarks.contender import Contender
from benchmarks.house import running_house
from benchmarks.ours import Ours
from benchmarks.peers.canvas import running_canvas
from benchmarks.peers.floor import Floor
from benchmarks.report import Row, machine, table, verdict
from benchmarks.sizes import Sizes

_BESIDE_OTHERS = {"chain": chain.measure, "fanout": fanout.measure, "throughput": throughput.measure}


def measured(workloads: Sequence[str], sizes: Sizes, *, slots: int, workers: int, alone: bool, command: str) -> str:
    """The tables of a session with what is needed to read them."""
    with running_house(slots, workers) as house:
        note = machine(_versions())
        ours = Ours(house)
        beside_others = list(_rows_beside_others(ours, workloads, sizes, threads=slots, alone=alone))
        of_the_web = list(_told(latency.measure(ours, sizes))) if "latency" in workloads else []
    set_up = f"Worker processes: {workers}, each with {slots} slots. PostgreSQL with fsync on."
    tables = [table(rows) for rows in (beside_others, of_the_web) if rows]
    return "\n\n".join((f"`{command}`", f"{note} {set_up}", *tables, verdict([*beside_others, *of_the_web])))


def _rows_beside_others(
    ours: Ours, workloads: Sequence[str], sizes: Sizes, *, threads: int, alone: bool
) -> Iterator[Row]:
    wanted = [_BESIDE_OTHERS[workload] for workload in workloads if workload in _BESIDE_OTHERS]
    with ExitStack() as stack:
        contenders: list[Contender] = [ours]
        if wanted and not alone:
            floor = Floor(ours.house.postgres.url)
            stack.callback(floor.close)
            contenders += [floor, stack.enter_context(running_canvas(ours.house, threads))]
        for measure in wanted:
            yield from _told(measure(contenders, sizes))


def _told(rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows, each said as soon as it is known: a full session takes minutes."""
    for row in rows:
        print(f"{row.workload}: {row.figure:.3g} {row.unit}", file=sys.stderr, flush=True)
        yield row


def _versions() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("show server_version")
        (postgres,) = cursor.fetchone()
    return {
        "Python": platform.python_version(),
        "PostgreSQL": postgres.split()[0],
        "Django": django.__version__,
        "Celery": celery.__version__,
    }
