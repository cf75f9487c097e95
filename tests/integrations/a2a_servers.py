"""Agents of other people, built with the official server SDK, and a row of one for pages."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from a2a.helpers import new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Message,
    Part,
    Role,
    Task,
    TaskState,
    TaskStatus,
)
from django_scopes import scope
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Value
from starlette.applications import Starlette

from apps.accounts.models import Organization
from apps.integrations.models import A2aAgent
from tests.integrations.asgi_servers import serving_asgi

CARD = {
    "name": "Weather",
    "description": "Knows the weather.",
    "version": "1",
    "capabilities": {"streaming": True},
    "skills": [{"id": "forecast", "name": "Forecast", "description": "Tells the weather.", "tags": ["weather"]}],
    "supportedInterfaces": [{"url": "https://example.com/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
}


class Behaviour(AgentExecutor):
    """Does what the first word of a message says, and repeats the others: echo, reply, fail, ask, or slow.

    The last waits for `let_go`.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.cancelled: list[str] = []
        self.let_go = threading.Event()
        self.received = threading.Event()

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        self.messages.append(context.message)
        self.received.set()
        wanted = context.get_user_input()
        act, _, rest = wanted.partition(" ")
        if act == "reply":
            said = Message(role=Role.ROLE_AGENT, message_id="r", parts=[new_text_part(f"at once {rest}".rstrip())])
            await event_queue.enqueue_event(said)
            return
        task_id, context_id = str(context.task_id), str(context.context_id)
        submitted = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
        await event_queue.enqueue_event(Task(id=task_id, context_id=context_id, status=submitted))
        updater = TaskUpdater(event_queue, task_id, context_id)
        await updater.start_work(updater.new_agent_message([new_text_part("at it")]))
        await self._work(wanted, context.message, updater)

    async def _work(self, wanted: str, message: Message, updater: TaskUpdater) -> None:
        act, _, rest = wanted.partition(" ")
        if act == "ask":
            await updater.requires_input(updater.new_agent_message([new_text_part("Which city?")]))
            return
        if act == "fail":
            await updater.failed(updater.new_agent_message([new_text_part(f"No such city. {rest}".rstrip())]))
            return
        if act == "slow":
            await asyncio.to_thread(self.let_go.wait, 60)
        data = [MessageToDict(part.data) for part in message.parts if part.HasField("data")]
        given = Part(data=ParseDict({"data": data, "number": 7}, Value()))
        await updater.add_artifact([new_text_part(f"did {wanted}"), given])
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        task_id, context_id = str(context.task_id), str(context.context_id)
        self.cancelled.append(task_id)
        self.let_go.set()
        await TaskUpdater(event_queue, task_id, context_id).cancel()


@contextmanager
def serving_agent(behaviour: Behaviour, *, streaming: bool = True) -> Iterator[str]:
    """Give the address (host and port) of an agent; its card is where cards are."""
    card = AgentCard(
        name="Weather",
        description="Knows the weather.",
        version="1",
        capabilities=AgentCapabilities(streaming=streaming),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="forecast", name="Forecast", description="Tells the weather.", tags=["weather"])],
    )
    handler = DefaultRequestHandler(behaviour, InMemoryTaskStore(), card)
    application = Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/rpc")])
    with serving_asgi(application) as address:
        interface = AgentInterface(url=f"http://{address}/rpc", protocol_binding="JSONRPC", protocol_version="1.0")
        card.supported_interfaces.append(interface)
        yield address
        behaviour.let_go.set()


def listed_agent(organization: Organization, name: str = "weather", **facts: Any) -> A2aAgent:
    """A row with a card, without anybody at its address."""
    with scope(organization=organization):
        return A2aAgent.objects.create(
            organization=organization,
            name=name,
            card_url="https://example.com/.well-known/agent-card.json",
            **{"card": CARD, **facts},
        )
