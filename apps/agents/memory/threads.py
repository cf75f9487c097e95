"""Asking the database from async code."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from apps.common.database import release_connection

T = TypeVar("T")


async def on_thread(work: Callable[..., T], *args: Any) -> T:
    """Do what asks the database off the event loop; the thread keeps no connection when it is done."""

    def done() -> T:
        try:
            return work(*args)
        finally:
            release_connection()

    return await asyncio.to_thread(done)
