"""A run's events as they come: one reader, two ways to send (server-sent events and WebSocket).

Each look reads what is committed after the last number that was sent, so nothing is lost or sent
twice, whatever happens between: a wake-up only says when to look.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import structlog
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django_scopes import scopes_disabled

from apps.accounts.access import access_of
from apps.common import json
from apps.common.database import release_connection
from apps.common.errors import BadRequest, DomainError, NotFound
from apps.workflows import live, selectors
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.live_texts import LiveTexts
from apps.workflows.models import Run
from apps.workflows.serializers.runs import event_view

BATCH = 500
PING_SECONDS = 15.0  # a comment that keeps proxies from closing a quiet stream
COMMENT = b": still here\n\n"
PING = b"event: ping\ndata: {}\n\n"  # the same for a page, which is not shown comments; asked for with `?ping=`
LOOK_SECONDS = 5.0  # without a wake-up, while they arrive
LOOK_OFTEN_SECONDS = 0.5  # while they do not
MOST_DIGITS = 15  # of an event's number
_SOCKET_PATH = re.compile(r"/v1/runs/([^/]+)/ws/?")
_REASON = 40  # characters: a close frame holds 123 bytes
RETRY_MILLISECONDS = 1_000  # how soon a browser connects again

Event = dict[str, Any]

log = structlog.get_logger(__name__)


def wants_stream(request: HttpRequest) -> bool:
    """Whether the client asks for events as they come."""
    return "text/event-stream" in request.headers.get("Accept", "")


@csrf_exempt
def stream_events(request: HttpRequest, ref: str) -> HttpResponseBase:
    """The events of a run after `Last-Event-ID` (or `?after=`), live; ends after the run's last event."""
    run, after = open_stream(request, ref)
    silence = PING if request.GET.get("ping") else COMMENT
    texts = LiveTexts(run) if request.GET.get("texts") else None
    is_async = isinstance(request, ASGIRequest)
    body = _frames(run, after, silence, texts) if is_async else _frames_on_thread(run, after, texts)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(body, content_type="text/event-stream; charset=utf-8", headers=headers)


def open_stream(request: HttpRequest, ref: str) -> tuple[UUID, int]:
    """The run that the caller may watch, and where to begin; raises as every endpoint does."""
    try:
        access = access_of(request, request.GET.get("organization"))  # a browser's stream has no headers
        access.require("view")
        after = _number(request.headers.get("Last-Event-ID") or request.GET.get("after") or "0")
        with scopes_disabled():
            return selectors.find_run_of(access.organization, ref).pk, after
    finally:
        release_connection()  # the thread of a WebSocket has no request whose end would give it back


async def follow(run: UUID, after: int, texts: LiveTexts | None = None) -> AsyncIterator[list[Event]]:
    """Batches of events in order, an empty one now and then when nothing happens; ends with the run.

    With `texts`, what models are saying comes between them, as events without a number.
    """
    news = asyncio.Event()
    loop = asyncio.get_running_loop()
    with live.woken(run, lambda: loop.call_soon_threadsafe(news.set)):
        while True:
            news.clear()
            batch, ended = await sync_to_async(_look, thread_sensitive=False)(run, after)
            if batch:
                after = batch[-1]["seq"]
                yield batch
            if texts is not None and (said := await sync_to_async(texts.news, thread_sensitive=False)()):
                yield said
            if ended:
                return
            if len(batch) == BATCH:
                continue
            if not await _woken(news) and not batch:
                yield []


async def websocket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The same events over a WebSocket, one JSON text each; closes with 1000 after the last.

    A refusal is told by a close code that a browser can read: 4000 and the HTTP status, such as 4401 or 4404.
    """
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    try:
        run, after = await _open_socket(scope)
    except DomainError as error:
        await send({"type": "websocket.close", "code": 4000 + error.status, "reason": error.detail[:_REASON]})
        return
    sending = asyncio.ensure_future(_send_all(send, run, after))
    closing = asyncio.ensure_future(_until_closed(receive))
    await asyncio.wait({sending, closing}, return_when=asyncio.FIRST_COMPLETED)
    if closing.done():
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return
    closing.cancel()
    if broken := sending.exception():
        log.warning("A stream broke off.", action="stream_failed", run_id=str(run), exc_info=broken)
    await send({"type": "websocket.close", "code": 1011 if broken else 1000})


async def _open_socket(scope: dict[str, Any]) -> tuple[UUID, int]:
    found = _SOCKET_PATH.fullmatch(scope["path"])
    if found is None:
        raise NotFound(f"There is no stream at '{scope['path'][:60]}'.")
    request = ASGIRequest({**scope, "type": "http", "method": "GET"}, None)  # type: ignore[arg-type]
    return await sync_to_async(open_stream, thread_sensitive=False)(request, found[1])


async def _send_all(send: Any, run: UUID, after: int) -> None:
    async for batch in follow(run, after):
        for event in batch:
            frame = {"id": event["seq"], "event": event["type"], "data": event}
            await send({"type": "websocket.send", "text": json.dumps(frame).decode()})


async def _until_closed(receive: Any) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _woken(news: asyncio.Event) -> bool:
    """Waits for news, as long as it is sensible to wait without looking."""
    seconds = LOOK_SECONDS if live.is_listening() else LOOK_OFTEN_SECONDS
    try:
        await asyncio.wait_for(news.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _frames(run: UUID, after: int, silence: bytes, texts: LiveTexts | None) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    spoke = time.monotonic()
    async for batch in follow(run, after, texts):
        if batch:
            yield b"".join(map(_frame, batch))
            spoke = time.monotonic()
        elif time.monotonic() - spoke > PING_SECONDS:
            yield silence
            spoke = time.monotonic()


def _frames_on_thread(run: UUID, after: int, texts: LiveTexts | None) -> Iterator[bytes]:
    """The same where there is no event loop, such as under a plain WSGI server."""
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    ended = False
    while not ended:
        batch, ended = _look(run, after)
        after = batch[-1]["seq"] if batch else after
        yield b"".join(map(_frame, batch + (texts.news() if texts else [])))
        if not ended and len(batch) < BATCH:
            time.sleep(LOOK_OFTEN_SECONDS)


def _frame(event: Event) -> bytes:
    if "seq" not in event:
        return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event["seq"], event["type"].encode(), json.dumps(event))


def _look(run: UUID, after: int) -> tuple[list[Event], bool]:
    """The next events, and whether the run has ended with the last of them."""
    with scopes_disabled():
        try:
            current = Run.objects.only("status", "last_seq").get(pk=run)
            batch = [event_view(event) for event in selectors.events(current, after)[:BATCH]]
        finally:
            release_connection()
    last = batch[-1]["seq"] if batch else after
    return batch, current.status in RUN_ENDED and last >= current.last_seq


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise BadRequest(f"'{text[:40]}' is not the number of an event.", code="invalid_event_id")
    return int(text)
