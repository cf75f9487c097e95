"""D24. Nothing slow inside an open transaction: rows stay locked meanwhile, and the others wait."""

import socket
import subprocess
import time
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from django.db import connections

from apps.workflows.store import database

# The database is not among them: its driver is C and uses no socket of Python.
SLOW = [
    (socket.socket, "connect"), (socket.socket, "connect_ex"), (socket.socket, "sendall"), (time, "sleep"),
    (subprocess.Popen, "__init__"),
]  # fmt: skip


class WaitedInTransactionError(AssertionError):
    """The network, a sleep or another process was waited for while this thread had a transaction open."""


class Guard:
    """Raises in whoever waits inside a transaction, and remembers it where that is swallowed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for owner, name in SLOW:
            monkeypatch.setattr(owner, name, self._guarded(getattr(owner, name), f"{owner.__name__}.{name}"))

    def _guarded(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(real)
        def call(*args: Any, **kwargs: Any) -> Any:
            if in_transaction():
                self.seen.append(f"{name} inside a transaction:\n{''.join(traceback.format_stack(limit=12))}")
                raise WaitedInTransactionError(self.seen[-1])
            return real(*args, **kwargs)

        return call


def in_transaction() -> bool:
    """Whether this thread has a transaction open, of Django's or of the store's; the one around a test is neither."""
    opened = [connection.connection for connection in connections.all(initialized_only=True)]
    opened.append(getattr(database._thread, "connection", None))
    if any(connection is not None and connection._num_transactions for connection in opened):
        return True
    blocks = (block for connection in connections.all(initialized_only=True) for block in connection.atomic_blocks)
    return any(not block._from_testcase for block in blocks)
