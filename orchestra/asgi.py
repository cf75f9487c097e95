"""One port for everything: live streams on the event loop, pages and the API on threads.

A sync Django view under ASGI pays a thread hop per middleware and a third of the throughput; a stream on a thread
would hold that thread for hours. So the path decides.
"""

import os
import re
from io import BytesIO

from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")

streams = get_asgi_application()

from django.conf import settings  # noqa: E402 - after django.setup()

from apps.common.errors import Unavailable  # noqa: E402
from apps.common.middleware import begin, finish  # noqa: E402
from apps.common.problems import answer_error  # noqa: E402
from apps.workflows.streams import websocket  # noqa: E402
from orchestra import urls  # noqa: E402, F401 - loaded now and not by the first request
from orchestra.wsgi import application as wsgi_application  # noqa: E402
from orchestra.wsgi_threads import Receive, Scope, Send, WsgiThreads  # noqa: E402

STREAM_PATH = re.compile(r"^/v1/runs/[^/]+/events/?$")
CHAT_PATH = re.compile(r"^/v1/agent-definitions/[^/]+/chat$")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a stream to the event loop and everything else to the WSGI threads."""
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif is_stream(scope):
        await streams(scope, receive, send)
    else:
        await requests(scope, receive, send)


def is_stream(scope: Scope) -> bool:
    """Tell whether the answer is server-sent events: a chat always is, a run's events by the `Accept` header."""
    if scope["type"] == "http" and CHAT_PATH.match(scope["path"]):
        return True
    if scope["type"] != "http" or not STREAM_PATH.match(scope["path"]):
        return False
    return any(name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"])


async def turn_away(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer that too many requests wait already."""
    request = ASGIRequest(scope, BytesIO())
    started = begin(request)
    error = Unavailable("Too many requests wait for an answer already; try again.", code="busy", retry_after=1)
    response = answer_error(request, error)
    finish(request, response, started)
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


requests = WsgiThreads(
    wsgi_application,
    threads=settings.ORCHESTRA_WEB_THREADS,
    room=settings.ORCHESTRA_WEB_ROOM,
    turn_away=turn_away,
)
