"""What an agent does with messages: the part of its Context that is about them.

The database is reached when a message is: `orchestra.sdk` is imported without settings.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from apps.agents import bus
from apps.agents.bus.messages import LEASE_SECONDS, message_in
from apps.common.database import on_thread
from apps.common.json import JSON

if TYPE_CHECKING:
    from apps.agents.bus.reading import Reader


class Messaging(ABC):
    """Publishes, reads, asks and answers; what it needs of the Context is described there."""

    organization_id: UUID
    run_id: UUID | None
    node: str | None
    agent: str | None
    tainted: bool

    @abstractmethod
    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any: ...
    @abstractmethod
    async def astep(self, name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any: ...
    @property
    @abstractmethod
    def cancelled(self) -> bool: ...
    @abstractmethod
    def idempotency_key(self, call: int | None = None) -> str: ...
    @abstractmethod
    def _next_call(self) -> int: ...

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
        record = await self.astep(f"bus:publish:{channel}", on_thread, _publish, channel, payload, options, *sent_as)
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
        record = await self.astep("bus:broadcast", on_thread, _publish, bus.BROADCAST, payload, options, *sent_as)
        return message_in(record)

    def request(self, channel: str, payload: Any = None, *, timeout: float = 60.0) -> bus.Message:
        """Publish a request and gives the first reply: asked once for all attempts, and the answer recorded.

        A new attempt waits on for the same reply. Raises NoReply (a Fatal) when there is none after `timeout`
        seconds, and what `publish` raises. In async code use `arequest`.
        """
        asked = message_in(self.step(f"bus:request:{channel}", _ask, channel, payload, timeout, *self._sent_as()))
        record = self.step(f"bus:reply:{channel}", _await_reply, asked, lambda: self.cancelled)
        self.tainted = True
        return message_in(record)

    async def arequest(self, channel: str, payload: Any = None, *, timeout: float = 60.0) -> bus.Message:  # noqa: ASYNC109
        """Do what `request` does, for async code."""
        sent_as = self._sent_as()
        record = await self.astep(f"bus:request:{channel}", on_thread, _ask, channel, payload, timeout, *sent_as)
        asked, cancelled = message_in(record), lambda: self.cancelled
        record = await self.astep(f"bus:reply:{channel}", on_thread, _await_reply, asked, cancelled)
        self.tainted = True
        return message_in(record)

    def reply(self, to: bus.Message, payload: Any = None) -> bus.Message:
        """Answer a request that `receive` gave, once for all attempts. In async code use `areply`."""
        return message_in(self.step(f"bus:reply_to:{to.channel}", _reply, to, payload, *self._sent_as()))

    async def areply(self, to: bus.Message, payload: Any = None) -> bus.Message:
        """Do what `reply` does, for async code."""
        name, sent_as = f"bus:reply_to:{to.channel}", self._sent_as()
        return message_in(await self.astep(name, on_thread, _reply, to, payload, *sent_as))

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
            message, self.tainted = message_in(record), True
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
        reader = await on_thread(lambda: self._reader(channel, group, **options))
        for _ in itertools.count() if most is None else range(most):
            args = reader, wait, lambda: self.cancelled
            record = await self.astep(f"bus:receive:{channel}", on_thread, _receive, *args)
            if record is None:
                return
            message, self.tainted = message_in(record), True
            yield message
            await on_thread(self.ack, message)

    def ack(self, message: bus.Message) -> bool:
        """Say that a received message is handled; false when it was settled already."""
        return bool(_exchange().acknowledge(message))

    def _reader(self, channel: str, group: str, **options: Any) -> "Reader":
        reader: Reader = _exchange().Reader(
            self.organization_id, channel, group, name=self.idempotency_key()[-200:], **options
        )
        return reader

    def _sent_as(self) -> tuple[bus.Sender, str]:
        """Give who publishes, and the key of the next message."""
        origin = f"agent:{self.agent}" if self.agent else ""
        sender = bus.Sender(organization_id=self.organization_id, run_id=self.run_id, node=self.node, origin=origin)
        return sender, self.idempotency_key(self._next_call())


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
    return _exchange().publish(channel, payload, sender, options, idempotency_key=key).as_record()


def _ask(channel: str, payload: Any, timeout: float, sender: bus.Sender, key: str) -> JSON:
    return _exchange().request(channel, payload, sender, timeout=timeout, idempotency_key=key).as_record()


def _await_reply(asked: bus.Message, cancelled: Callable[[], bool]) -> JSON:
    return _exchange().await_reply(asked, cancelled=cancelled).as_record()


def _reply(to: bus.Message, payload: Any, sender: bus.Sender, key: str) -> JSON:
    return _exchange().reply(to, payload, sender, idempotency_key=key).as_record()


def _receive(reader: "Reader", wait: float, cancelled: Callable[[], bool]) -> JSON:
    message = reader.read(wait=wait, cancelled=cancelled)
    return None if message is None else message.as_record()


def _exchange() -> Any:
    """Give the module that reaches the database."""
    from apps.agents.bus import exchange  # noqa: PLC0415 - it cannot be imported without settings

    return exchange
