"""Agents of other people, over Agent2Agent, as agents like any other: `a2a.<name>` in their organization."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from django_scopes import scope
from pydantic import BaseModel, JsonValue

from apps.agents.context import Context
from apps.agents.registry import AgentType
from apps.agents.sdk import Agent
from apps.common.asyncio_loop import Cancelled
from apps.common.database import release_connection
from apps.common.errors import Fatal, Retryable
from apps.common.json import JSON
from apps.integrations import selectors
from apps.integrations.a2a_client.shapes import Remote, text_and_data
from apps.integrations.models import A2aAgent
from apps.integrations.services.a2a_agents import remote_of

PREFIX = "a2a."
LAST_SECONDS = 2.0  # that a cancelled attempt waits for the answer to what it has sent


class A2aCaller(Agent):
    """Sends a message to an agent elsewhere and waits for what it gives.

    1. The message is sent once for all attempts: its id is the visit's own, and what came of it is in the journal. A
       new attempt, after a crash too, goes on with the same task there.
    2. The task's stream is followed where there is one, and else it is asked for now and then.
    3. When the run is cancelled the task there is cancelled too; when only this attempt ends, it is left alone.
    """

    class Output(BaseModel):
        text: str
        data: JsonValue = None

    def __init__(self, row: A2aAgent) -> None:
        super().__init__()
        self.row = row
        self.task: str | None = None  # there

    async def exec(self, task: JSON, ctx: Context) -> JSON:
        from apps.integrations.a2a_client import conversation  # noqa: PLC0415 - the SDK is slow to import

        remote = await asyncio.to_thread(_remote, self.row)
        text, data = text_and_data(task)
        try:
            sent = await ctx.astep("a2a:send", self._send, remote, text, data, ctx.next_ask())
            if "reply" in sent:
                return sent["reply"]
            self.task = sent["task"]  # also where the journal has said so
            return await conversation.follow(remote, sent["task"], lambda words: ctx.progress(None, words))
        except (asyncio.CancelledError, Cancelled):
            given_up = await asyncio.to_thread(_is_given_up, ctx)
            if self.task and given_up:
                await conversation.cancel(remote, self.task)
            raise

    async def _send(self, remote: Remote, text: str, data: JSON, key: str) -> JSON:
        """Send the message; who is cancelled meanwhile waits for the answer, as nobody else will know of the task."""
        from apps.integrations.a2a_client import conversation  # noqa: PLC0415 - the SDK is slow to import

        sending = asyncio.ensure_future(conversation.send(remote, text, data, key))
        try:
            sent = await asyncio.shield(sending)
        except asyncio.CancelledError:
            with suppress(Fatal, Retryable, TimeoutError):
                self.task = (await asyncio.wait_for(sending, LAST_SECONDS)).get("task")
            raise
        self.task = sent.get("task")  # before the journal has it: that may refuse an attempt that is not wanted now
        return sent


@dataclass(frozen=True)
class A2aAgentType(AgentType):
    """A row, and what its card says."""

    agent: type[Agent] = A2aCaller
    row: A2aAgent | None = None

    @property
    def _row(self) -> A2aAgent:
        assert self.row is not None  # noqa: S101 - it has a default only because what it derives from has one
        return self.row

    @cached_property
    def name(self) -> str:
        return self._row.full_name

    @cached_property
    def description(self) -> str:
        return str((self._row.card or {}).get("description") or "An agent elsewhere, whose card nobody has accepted.")

    @property
    def kind(self) -> Literal["remote"]:
        return "remote"

    @property
    def origin(self) -> str:
        return f"A2A agent at {self._row.card_url}"

    def make(self, config: Any) -> Agent:  # noqa: ARG002 - there is nothing to set
        """Give the object that does one visit."""
        return A2aCaller(self._row)


class A2aSource:
    """Finds an organization's A2A agents."""

    def find(self, organization_id: UUID, name: str) -> AgentType | None:
        """Give the agent; also one that is switched off, which then says so."""
        if not name.startswith(PREFIX):
            return None
        with scope(organization=organization_id):
            row = selectors.a2a_agents().filter(name=name.removeprefix(PREFIX)).first()
        return A2aAgentType(row=row) if row else None

    def all(self, organization_id: UUID) -> Iterable[AgentType]:
        """Give the agents that are switched on."""
        with scope(organization=organization_id):
            return [A2aAgentType(row=row) for row in selectors.a2a_agents().filter(enabled=True)]


def _remote(row: A2aAgent) -> Remote:
    try:
        return remote_of(row)
    finally:
        release_connection()  # the executor's threads live on; a connection kept there is lost to the pool


def _is_given_up(ctx: Context) -> bool:
    try:
        return ctx.given_up
    finally:
        release_connection()
