"""The connection of the current thread."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from django.db import connection as django_connection
from django.db import connections

T = TypeVar("T")


def first_row(sql: str, **parameters: Any) -> tuple[Any, ...] | None:
    """Give the first row of a query of the hot path.

    Below Django's cursor: that one writes the values into the text, so the server would plan it anew each time.
    """
    django_connection.ensure_connection()
    connection = django_connection.connection
    if django_connection.queries_logged:
        django_connection.queries_log.append({"sql": sql, "time": ""})
    try:
        row: tuple[Any, ...] | None = psycopg.Cursor(connection).execute(sql.encode(), parameters).fetchone()
    except psycopg.Error:
        if connection.closed or connection.broken:
            django_connection.close()  # the next use gets a living one
        raise
    return row


def release_connection() -> None:
    """Give the thread's connection back to the pool; call it before anything slow that needs no database.

    Inside a transaction nothing happens: the work there is not finished.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


async def on_thread(work: Callable[..., T], *args: Any) -> T:
    """Do what asks the database off the event loop; the thread keeps no connection when it is done."""

    def done() -> T:
        try:
            return work(*args)
        finally:
            release_connection()

    return await asyncio.to_thread(done)
