"""The peers that run in environments of their own, each with a database of its own on Orchestra's server."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from benchmarks.house import House
from benchmarks.peers.environments import NotInstalled, python_of
from benchmarks.peers.process import PeerProcess, Silent, running_peer
from orchestra import embedded

PREFECT_PORT = 18700


@dataclass
class Rivals:
    """Those that have started, and why others have not."""

    processes: list[PeerProcess] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@contextmanager
def running_rivals(house: House, threads: int, names: Sequence[str]) -> Iterator[Rivals]:
    """The peers with these names; one that cannot be had does not stop the others."""
    rivals = Rivals()
    with ExitStack() as stack:
        for name in names:
            try:
                given = GIVEN[name](_database(house, name), threads)
                argv = (str(python_of(name)), "-m", f"benchmarks.peers.programs.{name}", *given)
                rivals.processes.append(stack.enter_context(running_peer(name, argv, house.home)))
            except (NotInstalled, Silent) as error:
                rivals.missing.append(f"{name}: {error}")
                print(rivals.missing[-1], file=sys.stderr, flush=True)
        yield rivals


def _for_dbos(url: str, threads: int) -> tuple[str, ...]:
    return url, str(threads)


def _for_langgraph(url: str, _threads: int) -> tuple[str, ...]:
    return (url,)


def _for_prefect(url: str, _threads: int) -> tuple[str, ...]:
    with psycopg.connect(url) as connection:
        row = connection.execute("select 1 from pg_available_extensions where name = 'pg_trgm'").fetchone()
    return url, str(embedded.free_port(PREFECT_PORT)), "yes" if row else "no"


GIVEN: dict[str, Callable[[str, int], tuple[str, ...]]] = {
    "dbos": _for_dbos,
    "langgraph": _for_langgraph,
    "prefect": _for_prefect,
}


def _database(house: House, name: str) -> str:
    """The address of a fresh database."""
    url = house.postgres.url
    with psycopg.connect(url, autocommit=True) as connection, suppress(psycopg.errors.DuplicateDatabase):
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return f"{url.rpartition('/')[0]}/{name}"
