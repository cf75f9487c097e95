"""The floor: one committed statement per node, and nothing else. No engine that keeps every result can be faster.

It runs in the process that measures, from psycopg, on the same server, one connection for each run.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from benchmarks.contender import Took

CONNECTIONS = 16

_TABLES = """
create table if not exists floor_run (id bigint generated always as identity primary key, position int not null);
create table if not exists floor_node (run bigint, position int, output text, primary key (run, position))
"""
_NODE = """
with moved as (update floor_run set position = position + 1 where id = %s returning id, position)
insert into floor_node (run, position, output) select id, position, %s from moved
"""


class Floor:
    """Writes what has to be written."""

    name = "psycopg, one statement a node"

    def __init__(self, database_url: str) -> None:
        self.pool = ConnectionPool(
            database_url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs={"autocommit": True}, timeout=60
        )
        with self.pool.connection() as connection:
            connection.execute(_TABLES)

    def close(self) -> None:
        """Gives the connections back."""
        self.pool.close()

    def chain(self, nodes: int) -> Took:
        """See Contender.chain."""
        began = time.perf_counter()
        with self.pool.connection() as connection:
            run = _begin(connection)
            for _ in range(nodes):
                _finish_node(connection, run)
        return Took(time.perf_counter() - began)

    def fanout(self, items: int) -> Took:
        """See Contender.fanout: the items of one run are written one after the other."""
        return self.chain(items)

    def runs(self, runs: int, nodes: int, seconds: float) -> Took:
        """See Contender.runs."""
        began = time.perf_counter()
        with ThreadPoolExecutor(runs if seconds else CONNECTIONS) as threads:
            list(threads.map(lambda _: self._run(nodes, seconds), range(runs)))
        return Took(time.perf_counter() - began)

    def _run(self, nodes: int, seconds: float) -> None:
        with self.pool.connection() as connection:
            run = _begin(connection)
        for _ in range(nodes):
            time.sleep(seconds)
            with self.pool.connection() as connection:
                _finish_node(connection, run)


def _begin(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("insert into floor_run (position) values (0) returning id").fetchone()
    return int(row[0]) if row else 0


def _finish_node(connection: psycopg.Connection[Any], run: int) -> None:
    connection.execute(_NODE, (run, '{"n":1}'))
