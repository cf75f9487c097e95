"""One port for everything: live streams and other protocols on the event loop, pages and the API on threads.

A sync Django view under ASGI pays a thread hop per middleware and a third of the throughput; a stream on a thread
would hold that thread for hours. So the path decides.
"""

import asyncio
import os
import re
from importlib import import_module
from io import BytesIO

from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")

streams = get_asgi_application()

from django.conf import settings  # noqa: E402 - after django.setup()

from apps.accounts.asgi_gate import send_response  # noqa: E402
from apps.common.errors import Unavailable  # noqa: E402
from apps.common.middleware import begin, finish  # noqa: E402
from apps.common.problems import answer_error  # noqa: E402
from apps.workflows.streams import websocket  # noqa: E402
from orchestra import urls  # noqa: E402, F401 - loaded now and not by the first request
from orchestra.wsgi import application as wsgi_application  # noqa: E402
from orchestra.wsgi_threads import Receive, Scope, Send, WsgiThreads  # noqa: E402

# Other protocols, each by the module that speaks it. Their libraries are large, and loaded when somebody first asks.
PROTOCOLS = (
    (re.compile(r"^/mcp/?$"), "apps.workflows.protocols.mcp"),
    (re.compile(r"^/a2a(/|$)|^/\.well-known/agent-card\.json$"), "apps.workflows.protocols.a2a.application"),
)
STREAM_PATH = re.compile(r"^/v1/runs/[^/]+/events/?$")
CHAT_PATH = re.compile(r"^/v1/agent-definitions/[^/]+/chat$")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a stream to the event loop and everything else to the WSGI threads."""
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif is_stream(scope):
        await streams(scope, receive, send)
    elif protocol := protocol_of(scope):
        module = await asyncio.to_thread(import_module, protocol)
        await module.application(scope, receive, send)
    else:
        await requests(scope, receive, send)


def is_stream(scope: Scope) -> bool:
    """Tell whether the answer is server-sent events: a chat always is, a run's events by the `Accept` header."""
    if scope["type"] == "http" and CHAT_PATH.match(scope["path"]):
        return True
    if scope["type"] != "http" or not STREAM_PATH.match(scope["path"]):
        return False
    return any(name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"])


def protocol_of(scope: Scope) -> str | None:
    """Name the module that answers, where the path is one of another protocol; a browser asks first with OPTIONS."""
    if scope["type"] != "http" or scope["method"] == "OPTIONS":
        return None
    return next((module for path, module in PROTOCOLS if path.match(scope["path"])), None)


async def turn_away(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer that too many requests wait already."""
    request = ASGIRequest(scope, BytesIO())
    started = begin(request)
    error = Unavailable("Too many requests wait for an answer already; try again.", code="busy", retry_after=1)
    response = answer_error(request, error)
    finish(request, response, started)
    await send_response(response, send)


requests = WsgiThreads(
    wsgi_application,
    threads=settings.ORCHESTRA_WEB_THREADS,
    room=settings.ORCHESTRA_WEB_ROOM,
    turn_away=turn_away,
)
