"""Transactions and statements on the thread's own connection, below Django's cursor."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import django.db
import psycopg
from django.db import connection as django_connection
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, scalar_row

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


TRIES = 10  # about five seconds: what somebody who waits for an answer has
MANY_TRIES = 120  # about two minutes: what a finished piece of work is worth


class Transaction:
    """Statements inside one open transaction."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self.connection = connection

    def rows(self, sql: str, **parameters: Any) -> list[Row]:
        """All rows of a query, each as a dict by column."""
        return psycopg.Cursor(self.connection, row_factory=dict_row).execute(sql.encode(), parameters).fetchall()

    def row(self, sql: str, **parameters: Any) -> Row | None:
        """The first row of a query, or None."""
        return psycopg.Cursor(self.connection, row_factory=dict_row).execute(sql.encode(), parameters).fetchone()

    def value(self, sql: str, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        return psycopg.Cursor(self.connection, row_factory=scalar_row).execute(sql.encode(), parameters).fetchone()

    def values(self, sql: str, **parameters: Any) -> list[Any]:
        """The first column of every row."""
        return psycopg.Cursor(self.connection, row_factory=scalar_row).execute(sql.encode(), parameters).fetchall()

    def execute(self, sql: str, **parameters: Any) -> None:
        """A statement whose result nobody reads."""
        psycopg.Cursor(self.connection).execute(sql.encode(), parameters)


@contextmanager
def transaction() -> Iterator[Transaction]:
    """One transaction on the thread's connection; inside another one it is a savepoint of that."""
    django_connection.ensure_connection()
    connection = django_connection.connection
    try:
        with connection.transaction():
            yield Transaction(connection)
        if failpoints.is_armed("commit_then_raise") and not is_open(connection):
            failpoints.reach("commit_then_raise", psycopg.OperationalError)
    except psycopg.Error:
        if connection.closed or connection.broken:
            django_connection.close()  # the next use gets a living one
        raise


def is_open(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the connection is inside a transaction."""
    return connection.info.transaction_status != TransactionStatus.IDLE


def patiently(act: Callable[[], T], *, tries: int = TRIES) -> T:
    """What `act` (a whole transaction) gives, tried again when the database says that trying again helps."""
    for number in range(1, tries):
        try:
            return act()
        except TRANSIENT:
            if django_connection.in_atomic_block:
                raise  # the outer transaction is lost; only its owner can try again
            time.sleep(random.uniform(0, min(2.0, 0.02 * 2**number)))  # noqa: S311 - a rest, not a secret
    return act()
