"""One port for everything: live streams on the event loop, pages and the API on threads.

A sync Django view under ASGI pays a thread hop per middleware and a third of the throughput; a stream on a thread
would hold that thread for hours. So the path decides.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")

# Each of the three libraries has its own names for the types of one protocol.
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

streams = get_asgi_application()

from django.conf import settings  # noqa: E402 - after django.setup()

from apps.workflows.streams import websocket  # noqa: E402
from orchestra import urls  # noqa: E402, F401 - loaded now and not by the first request
from orchestra.wsgi import application as wsgi_application  # noqa: E402

requests = WSGIMiddleware(wsgi_application, workers=settings.ORCHESTRA_WEB_THREADS)  # type: ignore[arg-type]

REST_BYTES = 64 * 1024 * 1024
REST_SECONDS = 5.0
STREAM_PATH = re.compile(r"^/v1/runs/[^/]+/events/?$")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a stream to the event loop and everything else to the WSGI threads."""
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif is_stream(scope):
        await streams(scope, receive, send)
    else:
        body = _Body(receive)
        await requests(scope, body.receive, body.before(send))  # type: ignore[arg-type]


def is_stream(scope: Scope) -> bool:
    """Tell whether the client asks for server-sent events, by path and `Accept` header."""
    if scope["type"] != "http" or not STREAM_PATH.match(scope["path"]):
        return False
    return any(name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"])


class _Body:
    """A request's body, of which an answer may have left a part unread.

    A server that closes the connection then resets it, and the client that still sends never sees the answer: a
    body that was refused for its size would look like a broken network. So the rest is read, within bounds.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_read = False

    async def receive(self) -> Any:
        """Give the next message, as the application asks for it."""
        message = await self._receive()
        self._is_read = not message.get("more_body", False)
        return message

    def before(self, send: Send) -> Send:
        """Give a `send` that reads what is left first."""

        async def reading_first(message: Any) -> None:
            if message["type"] == "http.response.start" and not self._is_read:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._read_rest(), REST_SECONDS)
            await send(message)

        return reading_first

    async def _read_rest(self) -> None:
        left = REST_BYTES
        while not self._is_read and left > 0:
            left -= len((await self.receive()).get("body", b""))
