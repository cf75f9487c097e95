"""The gate in front of what other protocols speak on the event loop, as `OrganizationView` is in front of endpoints."""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse

from apps.accounts.access import Access, access_of, bucket, refuse_excess
from apps.accounts.models import Capability
from apps.common import limits
from apps.common.database import release_connection
from apps.common.errors import BadRequest, DomainError, TooLarge
from apps.common.json import MAX_BYTES
from apps.common.middleware import begin, finish
from apps.common.problems import as_domain_error, problem_response

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ACCESS = "orchestra.access"  # where the scope of an admitted request has its Access
BODY_SECONDS = 60.0


def behind_gate(application: Application) -> Application:
    """Let only callers with a key or token through; `scope[ACCESS]` says for which organization they act.

    The body is read before, within bounds. Refusals are problem documents, and every answer is logged and marked with
    the request's id.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = ASGIRequest(scope, BytesIO())
        started = begin(request)
        try:
            access = await sync_to_async(_admit, thread_sensitive=False)(request)
            body = await _body(receive)
        except Exception as error:
            problem = as_domain_error(error)
            if problem is None:
                raise
            await send_response(finish(request, problem_response(request, problem), started), send)
            return
        await application({**scope, ACCESS: access}, _replayed(body, receive), _marked(request, started, send))

    return answer


async def send_response(response: Any, send: Send) -> None:
    """Send a whole answer of Django's."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


def _admit(request: ASGIRequest) -> Access:
    try:
        access = access_of(request)
        access.require(Capability.VIEW)
        caller = access.api_key or access.user
        refuse_excess(
            limits.hit(
                [
                    bucket("run", f"caller:{caller.pk if caller else ''}"),
                    bucket("organization", str(access.organization.pk)),
                ]
            )
        )
        return access
    finally:
        release_connection()


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while (message := await receive())["type"] == "http.request":
                body += message.get("body", b"")
                if len(body) > MAX_BYTES:
                    raise TooLarge(f"The body has more than {MAX_BYTES} bytes.")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise BadRequest("The body did not come.", code="slow_body") from None
    raise BadRequest("The caller has gone.", code="caller_gone")


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Any:
        return pending.pop() if pending else await receive()

    return give


def _marked(request: ASGIRequest, started: float, send: Send) -> Send:
    async def mark(message: Any) -> None:
        if message["type"] == "http.response.start":
            response = finish(request, HttpResponse(status=message["status"]), started)
            known = {name for name, _ in message.get("headers", ())}
            ours = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
            added = [(name, value) for name, value in ours if name not in known and name != b"content-type"]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return mark


def refuse(error: DomainError) -> Application:
    """Give an application that answers with this error."""

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        request = ASGIRequest(scope, BytesIO())
        started = begin(request)
        await send_response(finish(request, problem_response(request, error), started), send)

    return answer
