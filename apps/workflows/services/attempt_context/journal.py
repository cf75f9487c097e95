"""The steps of an attempt: done once for a visit, and known to every later attempt."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from apps.common.asyncio_loop import Cancelled
from apps.common.database import on_thread, release_connection
from apps.common.json import JSON
from apps.workflows.nodes.base import Deferred, Failed, NodeContext, Waiting
from apps.workflows.services.leases import Leases
from apps.workflows.services.told import Told
from apps.workflows.store import journal
from apps.workflows.store.journal import Step
from apps.workflows.store.rows import NodeRow

STEPS_OF_AN_AGENT = 100_000  # no agent takes more; each that works at a visit counts its steps from a place of its own


class JournaledContext(NodeContext):
    """A context whose steps are recorded under the attempt's fence; no more is done once a call was deferred."""

    def __init__(self, row: NodeRow, leases: Leases) -> None:
        self.row, self.leases = row, leases
        self._recorded: dict[int, tuple[str, JSON]] | None = None
        self._position = 0
        self._told: list[Told] = []  # and not written into the run's history yet
        self._deferred: Deferred | None = None  # a call cannot be made now: the attempt is over, whatever its code does
        self._under_way: set[asyncio.Future[None]] = set()  # async calls

    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        """See Context.step."""
        step = self._next_step(name)
        known, result = self._recorded_step(step)
        return result if known else self._record(step, fn(*args))

    async def astep(self, name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """See Context.astep."""
        step = self._next_step(name)
        known, result = await self._arecorded_step(step)
        if known:
            return result
        made = await fn(*args)
        return await on_thread(self._record, step, made)

    def _next_step(self, name: str) -> Step:
        # Here and not on a thread: steps that run beside each other are numbered in the order they were called in.
        self._position += 1
        return Step(self._position - 1, name)

    def _recorded_step(self, step: Step) -> tuple[bool, JSON]:
        self.check_cancelled()
        self._check_deferred()
        if self._recorded is None:
            self._recorded = journal.read(self.row.organization_id, self.row.id)
            release_connection()
        if step.position not in self._recorded:
            return False, None
        recorded, result = self._recorded[step.position]
        if recorded != step.name[:200]:
            was = f"Step {step.position + 1} was '{recorded}' in an earlier attempt and is '{step.name}' now"
            raise RuntimeError(f"{was}; steps are made in the same order every time.")
        return True, result

    async def _arecorded_step(self, step: Step) -> tuple[bool, JSON]:
        try:
            return await on_thread(self._recorded_step, step)
        except Deferred:
            await self._end_of_calls()
            raise

    def _record(self, step: Step, result: JSON) -> JSON:
        try:
            if not journal.write(self.row, step, result):
                raise Cancelled("The attempt was given up while it ran.")
        finally:
            release_connection()  # there are more slots than connections, and what comes next may take its time
        return result

    @property
    def deferral(self) -> Failed | Waiting | None:
        """What the attempt ends with where a call could not be made."""
        return None if self._deferred is None else self._deferred.outcome

    def hand_over(self, number: int) -> None:
        """See Context.hand_over."""
        self._position = number * STEPS_OF_AN_AGENT
        self._calls = itertools.count(number * STEPS_OF_AN_AGENT + 1)

    async def _end_of_calls(self) -> None:
        """Waits for the calls beside one that is deferred: given up on their way, their effects would be in doubt."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    def _check_deferred(self) -> None:
        if self._deferred is not None:
            raise self._deferred
