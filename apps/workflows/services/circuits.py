"""The circuit breaker of tools: a service that does not answer is left alone for a while, by all workers.

What goes through a circuit is measured here too, so its retries are kept within their budget here.

1. While all is well a call costs no statement: each process looks at most once a second which circuits are not.
2. Failures that trying again may help are counted in the circuit's row; enough in a row open it.
3. A call through an open circuit is refused. It is told the last failure, and to come back when the circuit has rested,
   one call after the other and as fast as calls went out before.
4. After the rest one call goes through. Its answer closes the circuit, its failure opens it for twice as long.
"""

import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from apps.common.errors import Retryable
from apps.common.json import JSON
from apps.workflows.engine.errors import shorten
from apps.workflows.engine.pacing import BreakerPolicy, Meter, Queue, RetryBudget
from apps.workflows.nodes.base import Deferred, NodeError
from apps.workflows.services.raised import error_of
from apps.workflows.store import circuits
from apps.workflows.store.circuits import Name, Trouble
from apps.workflows.store.database import TRANSIENT, look, transaction

POLICY = BreakerPolicy()
LOOK_EVERY = 1.0  # seconds
LONGEST_MESSAGE = 300  # characters of a failure that are kept


@dataclass(slots=True)
class Local:
    """What this process has measured of a circuit."""

    meter: Meter = field(default_factory=Meter)
    budget: RetryBudget = field(default_factory=RetryBudget)
    queue: Queue | None = None  # while it is open


class Breaker:
    """The circuits as this process sees them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._troubled: dict[Name, Trouble] = {}
        self._local: dict[Name, Local] = {}

    def enter(self, circuit: Name, *, retry: bool = False) -> None:
        """Lets a call through, or raises what says when to come back.

        That is Retryable `circuit_open`, or Deferred `retry_budget` for the retry of a failed call.
        """
        self._look()
        trouble = self._troubled.get(circuit)
        is_open = trouble is not None and trouble.opens_in is not None
        if trouble is not None and is_open and not self._may_probe(circuit, trouble):
            raise self._refused(circuit, trouble)
        with self._lock:
            local = self._local.setdefault(circuit, Local())
            now = self._clock()
            if retry and not is_open and (wait := local.budget.admit(local.meter, now)) is not None:
                raise _over_budget(circuit, wait)
            local.meter.count(now)
            if not is_open:
                local.queue = None

    def is_troubled(self, circuit: Name) -> bool:
        """Whether an answer is news."""
        return circuit in self._troubled

    def answered(self, circuit: Name) -> None:
        """Notes that the other side has answered, if only with a refusal."""
        if self.is_troubled(circuit):
            with suppress(*TRANSIENT), transaction() as tx:
                circuits.succeed(tx, circuit)
            self._look_again()

    def failed(self, circuit: Name, message: str) -> None:
        """Notes a failure that trying again may help, with what it said."""
        with suppress(*TRANSIENT), transaction() as tx:
            circuits.fail(tx, circuit, _short(message), POLICY)
        self._look_again()

    def _look(self) -> None:
        """Asks the database which circuits are in trouble, if that was not done just now."""
        now = self._clock()
        with self._lock:
            if now - self._looked_at < LOOK_EVERY:
                return
            self._looked_at = now
        with suppress(*TRANSIENT), look() as tx:  # where it cannot be asked, what was known counts
            self._troubled = dict(circuits.troubled(tx))
            self._local = {name: local for name, local in self._local.items() if self._matters(name, local, now)}

    def _matters(self, name: Name, local: Local, now: float) -> bool:
        return name in self._troubled or any(second > now - 60 for second in local.meter.counts)

    def _look_again(self) -> None:
        self._looked_at = float("-inf")

    def _left(self, trouble: Trouble) -> float:
        return (trouble.opens_in or 0.0) - (self._clock() - self._looked_at)

    def _may_probe(self, circuit: Name, trouble: Trouble) -> bool:
        if self._left(trouble) > 0:
            return False
        with suppress(*TRANSIENT), transaction() as tx:
            return circuits.probe(tx, circuit, POLICY)
        return False

    def _refused(self, circuit: Name, trouble: Trouble) -> Retryable:
        now, left = self._clock(), self._left(trouble)
        with self._lock:
            local = self._local.setdefault(circuit, Local())
            local.queue = local.queue or Queue(local.meter.rate(now))
            wait = local.queue.place(now=now, opens_at=now + max(left, 1.0))
        message = f"'{circuit[1]}' did not answer several times in a row and is left alone for a while."
        why = f" The last failure: {trouble.last_failure}" if trouble.last_failure else ""
        return Retryable(message + why, retry_after=wait, code="circuit_open")


def _over_budget(circuit: Name, wait: float) -> Deferred:
    message = f"Enough of the calls of '{circuit[1]}' are retries already; this one waits its turn."
    return Deferred(NodeError("retry_budget", message, retryable=True, retry_after=wait, deferred=True))


def through(breaker: Breaker, circuit: Name, invoke: Callable[[], JSON]) -> Callable[[], JSON]:
    """The call, with its end noted."""

    def call() -> JSON:
        try:
            result = invoke()
        except Exception as error:
            note(breaker, circuit, error)
            raise
        note(breaker, circuit, None)
        return result

    return call


def through_async(
    breaker: Breaker, circuit: Name, invoke: Callable[[], Awaitable[JSON]], on_thread: Callable[..., Awaitable[Any]]
) -> Callable[[], Awaitable[JSON]]:
    """Does what `through` does, for async code."""

    async def call() -> JSON:
        try:
            result = await invoke()
        except Exception as error:
            await on_thread(note, breaker, circuit, error)
            raise
        if breaker.is_troubled(circuit):
            await on_thread(note, breaker, circuit, None)
        return result

    return call


def note(breaker: Breaker, circuit: Name, error: Exception | None) -> None:
    """Notes how a call ended."""
    if error is not None and (failure := error_of(error)).retryable:
        breaker.failed(circuit, failure.message)
    else:
        breaker.answered(circuit)


def _short(message: str) -> str:
    """The message in one line that the table stores; code that anybody wrote may have put anything into it."""
    line = " ".join(message.replace("\x00", "\ufffd").encode("utf-8", "replace").decode().split())
    return shorten(line, LONGEST_MESSAGE)


shared = Breaker()
