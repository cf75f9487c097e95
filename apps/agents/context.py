"""What an agent sees of the run it works in."""

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from typing import Any, TypeVar
from uuid import UUID, uuid4

import structlog

from apps.agents import bus
from apps.agents.bus.messages import message_in
from apps.agents.bus.reading import LEASE_SECONDS, acknowledge
from apps.common.asyncio_loop import Cancelled, run_coroutine
from apps.common.database import release_connection
from apps.common.json import JSON
from apps.integrations import language_models
from apps.integrations import services as tools
from apps.integrations.language_models import Conversation, Reply, Request
from apps.integrations.tools import Log, ToolContext, never

T = TypeVar("T")


class Context(ABC):
    """The second argument of `prep`, `exec` and `post`: where the agent is and what it may ask of the run.

    - `organization_id`, `run_id`, `node`: for whom and where; run and node are None outside a workflow run.
    - `visit`: 1 the first time the run comes to this node, 2 the second time, in a cycle.
    - `attempt`: 1 the first time this visit is tried, higher after a failure or a crash.
    - `agent`: the name of the agent at work.
    - `model`: the language model that the node names, if it names one.
    - `log`: `ctx.log.info("Read the page.", bytes=1234)` writes a line that people see in the run's log.
    """

    organization_id: UUID
    run_id: UUID | None = None
    node: str | None = None
    visit: int = 1
    attempt: int = 1
    agent: str | None = None
    model: str | None = None
    log: Log

    @abstractmethod
    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        """Call `fn(*args)` once for this visit and gives its result, also to later attempts.

        The result (it has to be JSON) is written to the run's journal. When the process dies and the node is
        tried again, the journal answers and `fn` is not called a second time. Steps are told apart by their
        order and `name`, so make them in the same order every time. What `fn` raises is not recorded.
        """

    @abstractmethod
    async def astep(self, name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Do what `step` does for an async `fn`: `await ctx.astep("fetch", fetch, url)`."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """True once somebody cancelled the run, its time is over, or another worker has taken the node."""

    @abstractmethod
    def progress(self, fraction: float | None, message: str = "") -> None:
        """Show how far the work is: a fraction from 0 to 1, or None when unknown, and a short message."""

    @abstractmethod
    def idempotency_key(self, call: int | None = None) -> str:
        """Give a key that is the same in every attempt of this visit and different anywhere else.

        `call` numbers several effects of one visit. `call_tool` does this by itself.
        """

    def check_cancelled(self) -> None:
        """Raise Cancelled when the work is no longer wanted: call it in long loops of sync code."""
        if self.cancelled:
            raise Cancelled("The work was cancelled.")

    def call_tool(self, name: str, input: JSON = None) -> JSON:  # noqa: A002
        """Call a tool of the toolbelt and gives its result, recorded like a `step`.

        Raises NotFound for an unknown tool, Fatal `invalid_input` for input that does not fit, and whatever
        the tool raises: Retryable when trying again may help, Fatal when not. In async code use `acall_tool`.
        """
        return self._make_call(self._next_call(), name, input)

    async def acall_tool(self, name: str, input: JSON = None) -> JSON:  # noqa: A002
        """Do what `call_tool` does, for async code."""
        return await self._make_call_async(self._next_call(), name, input)

    def _make_call(self, call: int, name: str, given: JSON) -> JSON:
        result: JSON = self.step(f"tool:{name}", tools.invoke, name, given, self.tool_context(call))
        return result

    async def _make_call_async(self, call: int, name: str, given: JSON) -> JSON:
        result: JSON = await self.astep(f"tool:{name}", tools.ainvoke, name, given, self.tool_context(call))
        return result

    def ask_model(self, request: Request) -> Reply:
        """Ask a language model and gives its answer, recorded like a `step`: an answer is paid for once.

        Raises NotFound for an unknown model, Retryable where trying again may help, Fatal where not. In async code
        use `aask_model`.
        """
        return run_coroutine(self.aask_model(request), cancelled=lambda: self.cancelled)

    async def aask_model(self, request: Request) -> Reply:
        """Do what `ask_model` does, for async code."""
        conversation: Conversation = self.__dict__.setdefault("_conversation", Conversation())
        known = conversation.common_with(request.messages)
        record = await self.astep(f"{language_models.STEP}{request.model}", language_models.ask, request, known)
        reply = language_models.reply_in(record)
        conversation.go_on(request.messages, reply)
        return reply

    def publish(
        self,
        channel: str,
        payload: Any = None,
        *,
        capability: str = "",
        after: bus.Message | None = None,
        expires_in: float | None = None,
        signal: bus.Signal | None = None,
    ) -> bus.Message:
        """Publish a message on a channel and gives it, once for all attempts.

        Every group that reads the channel gets it (`receive`). `payload` is any JSON of up to 64 KiB, or a pydantic
        model; it has to fit the channel's schema, if that has one. `after` is the message that this one follows from:
        both belong to one conversation then. `capability` names whom it is meant for. After `expires_in` seconds it is
        delivered no more. `signal=Signal(run, event)` also continues the run that waits for the event.

        Raises InvalidInput (a Fatal) that names the place that does not fit. In async code use `apublish`.
        """
        options = _options(capability=capability, after=after, expires_in=expires_in, signal=signal)
        record = self.step(f"bus:publish:{channel}", _publish, channel, payload, options, *self._sent_as())
        return message_in(record)

    async def apublish(
        self,
        channel: str,
        payload: Any = None,
        *,
        capability: str = "",
        after: bus.Message | None = None,
        expires_in: float | None = None,
        signal: bus.Signal | None = None,
    ) -> bus.Message:
        """Do what `publish` does, for async code."""
        options = _options(capability=capability, after=after, expires_in=expires_in, signal=signal)
        sent_as = self._sent_as()
        record = await self.astep(f"bus:publish:{channel}", _on_thread, _publish, channel, payload, options, *sent_as)
        return message_in(record)

    def broadcast(self, payload: Any = None, *, capability: str = "") -> bus.Message:
        """Publish to all agents of the organization that listen, or to those with a capability.

        They listen with `receive(BROADCAST, "<name of the agent>", capabilities=[...])`. Otherwise like `publish`.
        """
        options = bus.Options(kind="broadcast", capability=capability)
        record = self.step("bus:broadcast", _publish, bus.BROADCAST, payload, options, *self._sent_as())
        return message_in(record)

    async def abroadcast(self, payload: Any = None, *, capability: str = "") -> bus.Message:
        """Do what `broadcast` does, for async code."""
        options, sent_as = bus.Options(kind="broadcast", capability=capability), self._sent_as()
        record = await self.astep("bus:broadcast", _on_thread, _publish, bus.BROADCAST, payload, options, *sent_as)
        return message_in(record)

    def request(self, channel: str, payload: Any = None, *, timeout: float = 60.0) -> bus.Message:
        """Publish a request and gives the first reply: asked once for all attempts, and the answer recorded.

        A new attempt waits on for the same reply. Raises NoReply (a Fatal) when there is none after `timeout`
        seconds, and what `publish` raises. In async code use `arequest`.
        """
        asked = message_in(self.step(f"bus:request:{channel}", _ask, channel, payload, timeout, *self._sent_as()))
        return message_in(self.step(f"bus:reply:{channel}", _await_reply, asked, lambda: self.cancelled))

    async def arequest(self, channel: str, payload: Any = None, *, timeout: float = 60.0) -> bus.Message:  # noqa: ASYNC109
        """Do what `request` does, for async code."""
        sent_as = self._sent_as()
        record = await self.astep(f"bus:request:{channel}", _on_thread, _ask, channel, payload, timeout, *sent_as)
        asked, cancelled = message_in(record), lambda: self.cancelled
        return message_in(await self.astep(f"bus:reply:{channel}", _on_thread, _await_reply, asked, cancelled))

    def reply(self, to: bus.Message, payload: Any = None) -> bus.Message:
        """Answer a request that `receive` gave, once for all attempts. In async code use `areply`."""
        return message_in(self.step(f"bus:reply_to:{to.channel}", _reply, to, payload, *self._sent_as()))

    async def areply(self, to: bus.Message, payload: Any = None) -> bus.Message:
        """Do what `reply` does, for async code."""
        name, sent_as = f"bus:reply_to:{to.channel}", self._sent_as()
        return message_in(await self.astep(name, _on_thread, _reply, to, payload, *sent_as))

    def receive(
        self,
        channel: str,
        group: str,
        *,
        wait: float = 0.0,
        most: int | None = None,
        lease: float = LEASE_SECONDS,
        only_new: bool = False,
        capabilities: Collection[str] | None = None,
    ) -> Iterator[bus.Message]:
        """Read a channel as one of a group: `for message in ctx.receive("orders", "billing", wait=30): ...`.

        Each message goes to one reader of each group. It is acknowledged when the loop comes back for the next one;
        code that leaves the loop before calls `ack`. What is not acknowledged within `lease` seconds, because the
        process died or the code raised, is delivered again: to the next attempt of this node, which gets the messages
        of its journal first, or to another reader. So a message may come twice; `message.id` tells.

        The loop ends after `most` messages, and when none has come for `wait` seconds. A new group begins with all
        messages that there are, or with `only_new` with those to come. `capabilities` leaves out what is meant for
        others. In async code: `async for message in ctx.areceive(...)`.
        """
        reader = self._reader(channel, group, lease=lease, only_new=only_new, capabilities=capabilities)
        for _ in itertools.count() if most is None else range(most):
            record = self.step(f"bus:receive:{channel}", _receive, reader, wait, lambda: self.cancelled)
            if record is None:
                return
            message = message_in(record)
            yield message
            self.ack(message)

    async def areceive(
        self,
        channel: str,
        group: str,
        *,
        wait: float = 0.0,
        most: int | None = None,
        lease: float = LEASE_SECONDS,
        only_new: bool = False,
        capabilities: Collection[str] | None = None,
    ) -> AsyncIterator[bus.Message]:
        """Do what `receive` does, for async code."""
        options = {"lease": lease, "only_new": only_new, "capabilities": capabilities}
        reader = await _on_thread(lambda: self._reader(channel, group, **options))
        for _ in itertools.count() if most is None else range(most):
            args = reader, wait, lambda: self.cancelled
            record = await self.astep(f"bus:receive:{channel}", _on_thread, _receive, *args)
            if record is None:
                return
            message = message_in(record)
            yield message
            await _on_thread(self.ack, message)

    def ack(self, message: bus.Message) -> bool:
        """Say that a received message is handled; false when it was settled already."""
        return acknowledge(message)

    def _reader(self, channel: str, group: str, **options: Any) -> bus.Reader:
        return bus.Reader(self.organization_id, channel, group, name=self.idempotency_key()[-200:], **options)

    def _sent_as(self) -> tuple[bus.Sender, str]:
        """Give who publishes, and the key of the next message."""
        origin = f"agent:{self.agent}" if self.agent else ""
        sender = bus.Sender(organization_id=self.organization_id, run_id=self.run_id, node=self.node, origin=origin)
        return sender, self.idempotency_key(self._next_call())

    def tool_context(self, call: int) -> ToolContext:
        """Give what the tool sees that is called as this call of the visit."""
        return ToolContext(
            organization_id=self.organization_id,
            idempotency_key=self.idempotency_key(call),
            run_id=self.run_id,
            node=self.node,
            log=self.log,
            cancelled=lambda: self.cancelled,
        )

    def _next_call(self) -> int:
        # Made on first use: implementations need not call super().__init__().
        calls = self.__dict__.setdefault("_calls", itertools.count(1))
        return int(next(calls))


def _options(
    *, capability: str, after: bus.Message | None, expires_in: float | None, signal: bus.Signal | None
) -> bus.Options:
    return bus.Options(
        capability=capability,
        correlation_id=after.conversation_id if after else None,
        causation_id=after.id if after else None,
        expires_in=expires_in,
        signal=signal,
    )


def _publish(channel: str, payload: Any, options: bus.Options, sender: bus.Sender, key: str) -> JSON:
    return bus.publish(channel, payload, sender, options, idempotency_key=key).as_record()


def _ask(channel: str, payload: Any, timeout: float, sender: bus.Sender, key: str) -> JSON:
    return bus.request(channel, payload, sender, timeout=timeout, idempotency_key=key).as_record()


def _await_reply(asked: bus.Message, cancelled: Callable[[], bool]) -> JSON:
    return bus.await_reply(asked, cancelled=cancelled).as_record()


def _reply(to: bus.Message, payload: Any, sender: bus.Sender, key: str) -> JSON:
    return bus.reply(to, payload, sender, idempotency_key=key).as_record()


def _receive(reader: bus.Reader, wait: float, cancelled: Callable[[], bool]) -> JSON:
    message = reader.read(wait=wait, cancelled=cancelled)
    return None if message is None else message.as_record()


async def _on_thread(work: Callable[..., T], *args: Any) -> T:
    """Do what asks the database off the event loop; the thread keeps no connection when it is done."""

    def done() -> T:
        try:
            return work(*args)
        finally:
            release_connection()

    return await asyncio.to_thread(done)


class LocalContext(Context):
    """A Context outside any run: for one call over the API or the command line, and for tests of agents.

    Steps are called directly and progress stays in memory; `cancel()` cancels. `key` is the idempotency key.
    """

    def __init__(
        self,
        organization_id: UUID | None = None,
        *,
        node: str | None = None,
        visit: int = 1,
        attempt: int = 1,
        key: str | None = None,
        log: Log | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> None:
        self.organization_id = organization_id or uuid4()
        self.node, self.visit, self.attempt = node, visit, attempt
        self.log = log or structlog.get_logger("orchestra.agents")
        self.reports: list[tuple[float | None, str]] = []  # what `progress` was told
        self._key = key or f"local:{uuid4()}"
        self._asked_to_stop = False
        self._is_cancelled = cancelled

    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        return fn(*args)

    async def astep(self, name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:  # noqa: ARG002
        return await fn(*args)

    @property
    def cancelled(self) -> bool:
        return self._asked_to_stop or self._is_cancelled()

    def cancel(self) -> None:
        """Make `cancelled` true."""
        self._asked_to_stop = True

    def progress(self, fraction: float | None, message: str = "") -> None:
        self.reports.append((fraction, message))

    def idempotency_key(self, call: int | None = None) -> str:
        return self._key if call is None else f"{self._key}:{call}"
