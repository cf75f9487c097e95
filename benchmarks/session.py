"""One session of measuring, from the empty house to the tables."""

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import celery
import django
from django.db import connection

from benchmarks import (
    backlog,
    builder,
    chain,
    crash,
    fanout,
    footprint,
    growth,
    latency,
    listing,
    marking,
    models,
    pages,
    scale,
    streams,
    throughput,
)
from benchmarks.contender import Contender
from benchmarks.house import House, running_house
from benchmarks.ours import Ours
from benchmarks.peers.canvas import running_canvas
from benchmarks.peers.floor import Floor
from benchmarks.peers.process import PeerProcess
from benchmarks.peers.rivals import running_rivals
from benchmarks.peers.tolerated import Tolerated
from benchmarks.report import Row, Section, machine, report
from benchmarks.sizes import Sizes

BESIDE_OTHERS: dict[str, Callable[[Sequence[Contender], Sizes], Iterator[Row]]] = {
    "chain": chain.measure,
    "fanout": fanout.measure,
    "throughput": throughput.measure,
}
OF_PROCESSES: dict[str, Callable[[Ours, Sequence[PeerProcess], Sizes], Iterator[Row]]] = {
    "footprint": footprint.measure,
    "crash": crash.measure,
}
OF_OURS: dict[str, Callable[[Ours, Sizes], Iterator[Row]]] = {
    "marking": marking.measure,
    "growth": growth.measure,
    "scale": scale.measure,
    "latency": latency.measure,
    "streams": streams.measure,
    "models": models.measure,
    "pages": pages.measure,
    "builder": builder.measure,
    "backlog": backlog.measure,
    "listing": listing.measure,
}


@dataclass(frozen=True)
class Order:
    """What is to be measured."""

    workloads: Sequence[str]
    sizes: Sizes
    slots: int  # of each worker
    workers: int
    references: bool  # beside what costs least: the floor, Celery's canvas
    peers: Sequence[str]  # of rivals.GIVEN
    command: str


@dataclass
class Company:
    """Who is measured beside ours, and what could not be measured."""

    contenders: list[Contender] = field(default_factory=list)
    processes: Sequence[PeerProcess] = ()
    troubles: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What a session comes to."""

    text: str  # the tables, with what is needed to read them
    troubles: Sequence[str]  # what could not be measured, and why


def measured(order: Order) -> Found:
    """Measure everything that is asked for."""
    with running_house(order.slots, order.workers) as house, _running_company(house, order) as company:
        sections = list(_sections(Ours(house), company, order))
        set_up = f"Worker processes: {order.workers}, each with {order.slots} slots. PostgreSQL with fsync on."
        heading = f"`{order.command}`\n\n{machine(_versions())} {set_up}"
        troubles = [*company.troubles, *(text for process in company.processes for text in process.troubles)]
    return Found(report(heading, sections, troubles), troubles)


@contextmanager
def _running_company(house: House, order: Order) -> Iterator[Company]:
    company = Company()
    with ExitStack() as stack:
        if order.references and BESIDE_OTHERS.keys() & set(order.workloads):
            floor = Floor(house.postgres.url)
            stack.callback(floor.close)
            canvas = stack.enter_context(running_canvas(house, order.slots))
            company.contenders += [Tolerated(one, company.troubles) for one in (floor, canvas)]
        if order.peers and (BESIDE_OTHERS.keys() | OF_PROCESSES.keys()) & set(order.workloads):
            rivals = stack.enter_context(running_rivals(house, order.slots, order.peers))
            company.processes = rivals.processes
            company.troubles += rivals.missing
            company.contenders += (peer for process in rivals.processes for peer in process.contenders)
        yield company


def _sections(ours: Ours, company: Company, order: Order) -> Iterator[Section]:
    sizes, contenders = order.sizes, [ours, *company.contenders]
    groups: dict[str, dict[str, Callable[[], Iterator[Row]]]] = {
        "Work": {name: partial(measure, contenders, sizes) for name, measure in BESIDE_OTHERS.items()},
        "Processes": {name: partial(measure, ours, company.processes, sizes) for name, measure in OF_PROCESSES.items()},
        "More figures": {name: partial(measure, ours, sizes) for name, measure in OF_OURS.items()},
    }
    for title, group in groups.items():
        wanted = {name: measure for name, measure in group.items() if name in order.workloads}
        if rows := [row for name, measure in wanted.items() for row in _told(name, measure, company.troubles)]:
            yield Section(title, rows)


def _told(workload: str, measure: Callable[[], Iterator[Row]], troubles: list[str]) -> Iterator[Row]:
    """The same rows, each said as soon as it is known: a full session takes minutes. One that fails stops no other."""
    try:
        for row in measure():
            print(f"{row.workload}: {row.figure:.3g} {row.unit}", file=sys.stderr, flush=True)
            yield row
    except Exception as error:  # noqa: BLE001 - it is told in the report
        troubles.append(f"{workload}: {type(error).__name__}: {error}")
        print(troubles[-1], file=sys.stderr, flush=True)


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
