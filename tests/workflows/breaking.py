"""A connection that breaks at one chosen round trip to the database, in each of the ways in which they break."""

import threading
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from django.db import connection as django_connection
from psycopg.rows import scalar_row

T = TypeVar("T")

# What is lost before one statement is lost after the one before it, so these two are all there are for a client.
WAYS = (
    "answer lost",  # the statement was done (a commit has landed), and the connection breaks before its answer comes
    "session ended",  # the server ends the session before the statement arrives
)


class Breaking:
    """Breaks the connections of this thread once, at the round trip with this number; counts them all.

    It stands below every statement, `begin` and `commit` included, so it knows nothing of how the engine does its work.
    """

    def __init__(self, at: int, way: str) -> None:
        self.at, self.way = at, way
        self.trips = 0
        self._thread = threading.get_ident()
        self._aside = False  # what is done by this class itself is not counted

    def __enter__(self) -> Self:
        parameters = django_connection.get_connection_params()
        wanted = {
            name: parameters[name] for name in ("dbname", "user", "host", "port", "password") if parameters.get(name)
        }
        self._other = psycopg.connect(**wanted, autocommit=True)
        self._wait = psycopg.Connection.wait
        breaking = self

        def wait(connection: "psycopg.Connection[Any]", gen: "Generator[Any, Any, T]", *args: Any, **kwargs: Any) -> T:
            return breaking._trip(connection, lambda: breaking._wait(connection, gen, *args, **kwargs))

        psycopg.Connection.wait = wait  # type: ignore[method-assign,assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        psycopg.Connection.wait = self._wait  # type: ignore[method-assign]
        self._other.close()

    def _trip(self, connection: "psycopg.Connection[Any]", real: Callable[[], T]) -> T:
        if self._aside or threading.get_ident() != self._thread:
            return real()
        self.trips += 1
        if self.trips != self.at:
            return real()
        if self.way == "session ended":
            self._end(connection)
            return real()
        real()
        connection.close()
        raise psycopg.OperationalError("The connection was lost.")

    def _end(self, connection: "psycopg.Connection[Any]") -> None:
        self._aside = True
        cursor = psycopg.Cursor(self._other, row_factory=scalar_row)
        ended = cursor.execute("select pg_terminate_backend(%s, 5000)", [connection.info.backend_pid]).fetchone()
        self._aside = False
        assert ended, "the session did not end within five seconds"
