"""The connection of the current thread."""

from django.db import connections


def release_connection() -> None:
    """Give the thread's connection back to the pool; call it before anything slow that needs no database.

    Inside a transaction nothing happens: the work there is not finished.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
