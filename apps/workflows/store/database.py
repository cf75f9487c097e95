"""Transactions and statements of the engine, below Django's cursor.

Inside a transaction of Django's they are part of it. Elsewhere they have connections of their own, which wait for
nobody longer than the engine may and whose plans go by index: the engine asks for rows by key, and a plan made while
its tables were small must not read them whole when they have grown.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import django.db
import psycopg
from django.conf import settings
from django.db import connection as django_connection
from django.db import connections
from django.db import transaction as django_transaction
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, scalar_row
from psycopg_pool import ConnectionPool

from apps.common import failpoints

T = TypeVar("T")

Row = dict[str, Any]

# Worth trying again whole: serialization, deadlock, lock time-out, a server that stops or starts, a lost connection.
TRANSIENT = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.ReadOnlySqlTransaction,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    django.db.OperationalError,
    django.db.InterfaceError,
)


TRIES = 10  # what somebody who waits for an answer has
PATIENT_SECONDS = 5.0  # after which they are told: a try may itself have waited long for a connection
MANY_TRIES = 120  # about two minutes: what a finished piece of work is worth


class LockNeeded(Exception):
    """Something has to be written or locked before the end: the run has to be locked first."""


class Changed(Exception):
    """Somebody else has changed the run since it was read."""


class Transaction:
    """Statements inside one open transaction."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self.connection = connection

    def rows(self, sql: str, **parameters: Any) -> list[Row]:
        """All rows of a query, each as a dict by column."""
        return self._execute(psycopg.Cursor(self.connection, row_factory=dict_row), sql, parameters).fetchall()

    def row(self, sql: str, **parameters: Any) -> Row | None:
        """The first row of a query, or None."""
        return self._execute(psycopg.Cursor(self.connection, row_factory=dict_row), sql, parameters).fetchone()

    def value(self, sql: str, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        return self._execute(psycopg.Cursor(self.connection, row_factory=scalar_row), sql, parameters).fetchone()

    def values(self, sql: str, **parameters: Any) -> list[Any]:
        """The first column of every row."""
        return self._execute(psycopg.Cursor(self.connection, row_factory=scalar_row), sql, parameters).fetchall()

    def execute(self, sql: str, **parameters: Any) -> None:
        """A statement whose result nobody reads."""
        self._execute(psycopg.Cursor(self.connection), sql, parameters)

    def needs_lock(self) -> None:
        """Says that the statements that follow are one with those at the end; LockNeeded where they would not be."""

    def last(self, sql: str, **parameters: Any) -> Row | None:
        """The first row of the statement that ends the work: it may write where nothing else may."""
        cursor = psycopg.Cursor(self.connection, row_factory=dict_row)
        found = Transaction._execute(self, cursor, sql, parameters).fetchone()
        _answer_is_lost(self.connection)
        return found

    def _execute(self, cursor: "psycopg.Cursor[T]", sql: str, parameters: dict[str, Any]) -> "psycopg.Cursor[T]":
        return cursor.execute(sql.encode(), parameters)


class Look(Transaction):
    """Queries that lock nothing, each by itself, and one statement at the end that writes if nothing has changed."""

    def _execute(self, cursor: "psycopg.Cursor[T]", sql: str, parameters: dict[str, Any]) -> "psycopg.Cursor[T]":
        if _changes_something(sql):
            raise LockNeeded
        return super()._execute(cursor, sql, parameters)

    def needs_lock(self) -> None:
        """See Transaction.needs_lock."""
        raise LockNeeded


@cache
def _changes_something(sql: str) -> bool:
    words = sql.lower().split()
    return words[0] not in {"select", "with"} or not {"insert", "update", "delete"}.isdisjoint(words)


@contextmanager
def look() -> Iterator[Look]:
    """Queries outside of any transaction of the engine's own; LockNeeded is raised by whatever else is tried."""
    with _connection() as connection:
        yield Look(connection)


@contextmanager
def transaction() -> Iterator[Transaction]:
    """One transaction; inside another one it is a savepoint of that."""
    with _connection() as connection:
        if not connection.autocommit and not is_open(connection):
            connection.execute("select")  # Django's transaction begins with it; else ours would be one of its own
        with connection.transaction():
            yield Transaction(connection)
        _answer_is_lost(connection)


def after_commit(act: Callable[[], object]) -> None:
    """Does `act` when what has been written is committed: now, or with Django's transaction around it."""
    if django_connection.in_atomic_block:
        django_transaction.on_commit(act)
    else:
        act()


def _answer_is_lost(connection: "psycopg.Connection[Any]") -> None:
    """Where a test wants it: a commit has landed, and nobody hears of it."""
    if failpoints.is_armed("commit_then_raise") and not is_open(connection):
        failpoints.reach("commit_then_raise", psycopg.OperationalError)


def is_open(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the connection is inside a transaction."""
    return connection.info.transaction_status != TransactionStatus.IDLE


@contextmanager
def _connection() -> "Iterator[psycopg.Connection[Any]]":
    """The connection that the thread has open already, or one for the moment."""
    django_own = connections["default"]
    if (current := getattr(_thread, "connection", None)) is not None:
        yield current
    elif django_own.in_atomic_block or not django_own.settings_dict["OPTIONS"].get("pool"):
        yield from _django_connection()
    else:
        yield from _pooled_connection(str(django_own.settings_dict["NAME"]))


def _django_connection() -> "Iterator[psycopg.Connection[Any]]":
    django_connection.ensure_connection()
    connection = django_connection.connection
    try:
        yield connection
    except psycopg.Error:
        if connection.closed or connection.broken:
            django_connection.close()  # the next use gets a living one
        raise


def _pooled_connection(database: str) -> "Iterator[psycopg.Connection[Any]]":
    pool = _pool(database)
    connection = _thread.connection = pool.getconn()
    try:
        yield connection
    finally:
        _thread.connection = None
        lost = connection.closed or connection.broken
        pool.putconn(connection)
        if lost:
            pool.drain()  # the server has gone or come back: what else is idle is as dead as this one


_thread = threading.local()
_making = threading.Lock()
_pools: "dict[str, ConnectionPool[psycopg.Connection[Any]]]" = {}

# A plan by index for everything, see above, and made once: no value would change it. What a web request may take is in
# orchestra/settings.py.
_OPTIONS = (
    "-c statement_timeout=15s -c lock_timeout=3s -c idle_in_transaction_session_timeout=10s "
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan"
)


def _pool(database: str) -> "ConnectionPool[psycopg.Connection[Any]]":
    """The process's pool for a database."""
    if (pool := _pools.get(database)) is None:
        with _making:
            pool = _pools.get(database) or _pools.setdefault(database, _new_pool())
    return pool


def _new_pool() -> "ConnectionPool[psycopg.Connection[Any]]":
    parameters = connection_parameters() | {"autocommit": True, "prepare_threshold": 0, "options": _OPTIONS}
    size = settings.ORCHESTRA_DB_POOL
    return ConnectionPool(
        kwargs=parameters, min_size=1, max_size=size, timeout=5, max_idle=300, reconnect_timeout=2, open=True
    )


def connection_parameters() -> dict[str, Any]:
    """Where the database is and how to get in, as psycopg takes it; nothing that Django sets for itself."""
    known = django_connection.get_connection_params()
    return {name: known[name] for name in _PLACE & known.keys()}


def close_pools() -> None:
    """Closes what is idle, so that a database can be dropped."""
    for pool in _pools.values():
        pool.close()
    _pools.clear()


_PLACE = frozenset(
    [
        "dbname",
        "user",
        "password",
        "host",
        "port",
        "sslmode",
        "connect_timeout",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
    ]
)


def patiently(act: Callable[[], T], *, tries: int = TRIES) -> T:
    """What `act` (a whole transaction) gives, tried again when the database says that trying again helps."""
    began = time.monotonic()
    for number in range(1, tries):
        try:
            return act()
        except TRANSIENT:
            if django_connection.in_atomic_block:
                raise  # the outer transaction is lost; only its owner can try again
            if tries <= TRIES and time.monotonic() - began > PATIENT_SECONDS:
                raise
            time.sleep(random.uniform(0, min(2.0, 0.02 * 2**number)))  # noqa: S311 - a rest, not a secret
    return act()
