"""The addresses of A2A: cards, and JSON-RPC for the front and for each workflow and agent.

`/.well-known/agent-card.json`, `/a2a`, `/a2a/<name>`, `/a2a/<name>/.well-known/agent-card.json`
"""

import re
from io import BytesIO

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.response_helpers import agent_card_to_dict
from a2a.server.routes.common import DefaultServerCallContextBuilder
from a2a.server.routes.jsonrpc_dispatcher import JsonRpcDispatcher
from a2a.types.a2a_pb2 import AgentCard
from django.core.handlers.asgi import ASGIRequest
from starlette.requests import Request
from starlette.responses import JSONResponse

from apps.accounts.asgi_gate import ACCESS as ACCESS_IN_SCOPE
from apps.accounts.asgi_gate import Receive, Scope, Send, behind_gate, refuse
from apps.agents import registry as agents
from apps.common.errors import DomainError, NotFound
from apps.common.problems import MethodNotAllowed
from apps.workflows.protocols.a2a.cards import card_of
from apps.workflows.protocols.a2a.handler import ACCESS, AGENT, Handler, extended_card
from apps.workflows.protocols.a2a.skills import FRONT, find_skill, of_agent
from apps.workflows.protocols.runs import for_organization

CARD = re.compile(r"^(?:/a2a/(?P<name>[^/]+))?/\.well-known/agent-card\.json$")
CALL = re.compile(r"^/a2a(?:/(?P<name>[^/]+))?/?$")


class _ContextBuilder(DefaultServerCallContextBuilder):
    """Adds who asks, and whom."""

    def build(self, request: Request) -> ServerCallContext:
        context = super().build(request)
        context.state[ACCESS] = request.scope[ACCESS_IN_SCOPE]
        context.state[AGENT] = request.scope[AGENT]
        return context


_dispatcher = JsonRpcDispatcher(Handler(), _ContextBuilder(), enable_v0_3_compat=True)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request of another agent."""
    if found := CARD.match(scope["path"]):
        await _card({**scope, AGENT: found["name"]}, receive, send)
    elif not (found := CALL.match(scope["path"])):
        await refuse(NotFound("There is nothing at this address."))(scope, receive, send)
    elif scope["method"] != "POST":
        await refuse(MethodNotAllowed("Messages are posted here, as JSON-RPC."))(scope, receive, send)
    else:
        await _call({**scope, AGENT: found["name"]}, receive, send)


async def _card(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        await refuse(MethodNotAllowed("A card is only read."))(scope, receive, send)
        return
    public = None if _has_credential(scope) else _public_card(scope[AGENT])
    if public is not None:
        await _send_card(public, scope, receive, send)
    else:
        await _own_card(scope, receive, send)  # without a credential this is where it ends


async def _answer_own_card(scope: Scope, receive: Receive, send: Send) -> None:
    access, name = scope[ACCESS_IN_SCOPE], scope[AGENT]
    try:
        if name is None:
            card = await for_organization(access, extended_card, access)
        else:
            card = await for_organization(access, lambda: card_of(find_skill(access, name)))
    except DomainError as missing:
        await refuse(missing)(scope, receive, send)
        return
    await _send_card(card, scope, receive, send)


async def _answer_call(scope: Scope, receive: Receive, send: Send) -> None:
    response = await _dispatcher.handle_requests(Request(scope, receive))
    await response(scope, receive, send)


_own_card = behind_gate(_answer_own_card)
_call = behind_gate(_answer_call)


def _public_card(name: str | None) -> AgentCard | None:
    """The card of an agent that is built in; what somebody has added is shown to whoever has a key, and nobody else."""
    agent = agents.find(name or FRONT)
    return card_of(of_agent(agent), at_front=name is None) if agent and agent.kind == "builtin" else None


async def _send_card(card: AgentCard, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Cache-Control": "no-store"}
    await JSONResponse(agent_card_to_dict(card), headers=headers)(scope, receive, send)


def _has_credential(scope: Scope) -> bool:
    return "Authorization" in ASGIRequest(scope, BytesIO()).headers
