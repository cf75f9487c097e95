"""Starting runs for other people's programs, once however often they ask, and waiting for them."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django_scopes import scope

from apps.accounts.access import Access
from apps.accounts.idempotency import Act, once
from apps.accounts.models import Capability
from apps.common.database import release_connection
from apps.common.json import JSON
from apps.workflows import selectors
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.models import Run, WorkflowVersion
from apps.workflows.services import queue_limit
from apps.workflows.services.runs import Order, start_run
from apps.workflows.store.values import read_value
from apps.workflows.streams import Event, follow

P = ParamSpec("P")
T = TypeVar("T")

MOST_MESSAGE = 200
_waiting = asyncio.Semaphore(1_000)  # each looks at its run now and then, and has a place on the event loop


async def for_organization(access: Access, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what asks the database on a thread, where only the caller's organization is seen."""

    def done() -> T:
        try:
            with scope(organization=access.organization):
                return work(*args, **kwargs)
        finally:
            release_connection()

    return await sync_to_async(done, thread_sensitive=False)()


def start_once(
    access: Access,
    find: Callable[[], WorkflowVersion],
    given: dict[str, JSON],
    *,
    trigger: str,
    name: str,
    key: str | None,
    labels: dict[str, str] | None = None,
) -> UUID:
    """Starts a run for the caller; with a key that was used before gives the run started then.

    Raises PermissionDenied, Invalid for an input that does not fit or a key that was used for another act, and
    TooManyRequests when the organization's queue is full.
    """
    access.require(Capability.RUN)

    def start() -> tuple[int, JSON]:
        queue_limit.admit(access.organization)
        order = Order(input=given, trigger=trigger, by=access.actor, labels=labels or {})
        run = start_run(organization=access.organization, version=find(), order=order)
        return 202, {"id": str(run)}

    if key is None:
        return UUID(start()[1]["id"])
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()  # a key of theirs may be of any form
    outcome = once(access.organization.pk, f"{trigger}:{digest}", Act(trigger.upper(), name, given), start)
    return UUID(outcome.body["id"])


async def events_until(run: UUID, seconds: float, after: int = 0) -> AsyncIterator[list[Event]]:
    """Batches of a run's events, until it ends, waits for a person, or the seconds are over.

    None where too many wait in this process already: then the run is told as it is, and asked for again.
    """
    if _waiting.locked():
        return
    async with _waiting:
        async for batch in _until(run, time.monotonic() + seconds, after):
            yield batch


async def _until(run: UUID, ends: float, after: int) -> AsyncIterator[list[Event]]:
    batches: Any = follow(run, after)
    try:
        while (left := ends - time.monotonic()) > 0:
            batch = await asyncio.wait_for(anext(batches), left)
            yield batch
            if any(asks_people(event) for event in batch):
                return
    except (TimeoutError, StopAsyncIteration):
        return
    finally:
        await batches.aclose()


def asks_people(event: Event) -> bool:
    """Whether from here on somebody has to decide."""
    return bool(event["type"] == "node.waiting" and event["data"].get("waits_for") == "approval")


def in_words(event: Event) -> str:
    """An event as a line that a program shows to a person."""
    words = f"{event['type']} {event['node']}" if event.get("node") else str(event["type"])
    said = event["data"].get("message") if event["type"] == "node.progress" else None
    return f"{words}: {said}"[:MOST_MESSAGE] if said else words[:MOST_MESSAGE]


def output_of(run: Run) -> JSON:
    """What a run has given; None before it has ended."""
    return read_value(run.organization_id, run.output) if run.status in RUN_ENDED else None


def open_question(run: Run) -> Any:
    """The oldest question to people that the run waits with; None where there is none."""
    return selectors.approvals().filter(run=run).order_by("created_at", "id").first()
