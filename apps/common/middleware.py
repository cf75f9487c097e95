"""Around every request: its id, its log line, the browser's policy, and a body that came in chunks."""

import re
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import TypeAlias

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django_scopes import scopes_disabled

from apps.common.cross_origin import preflight, share
from apps.common.errors import DomainError
from apps.common.ids import uuid7
from apps.common.json import MAX_BYTES
from apps.common.parsers import read_body
from apps.common.problems import answer_error, as_domain_error

GetResponse: TypeAlias = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
)

log = structlog.get_logger("orchestra.requests")

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestMiddleware:
    """Stands around all others; works on threads and, for streams, on the event loop."""

    sync_capable = async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.on_loop = iscoroutinefunction(get_response)
        if self.on_loop:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.on_loop:
            return self.on_event_loop(request)
        started = begin(request)
        try:
            read_chunks(request)
            response = preflight(request) or self.get_response(request)
        except DomainError as error:
            response = answer_error(request, error)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - tells the type checker which of the two it is
        return finish(request, response, started)

    async def on_event_loop(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same without a thread; Django's ASGI handler has read the body already."""
        started = begin(request)
        response = preflight(request) or self.get_response(request)
        return finish(request, response if isinstance(response, HttpResponseBase) else await response, started)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer what a view outside of REST framework raised on purpose."""
        error = as_domain_error(exception)
        return answer_error(request, error) if error else None


def begin(request: HttpRequest) -> float:
    """Give the request its id: the caller's own when it is a sane one."""
    sent = request.headers.get("X-Request-ID", "")
    request.request_id = sent if _SANE_ID.fullmatch(sent) else str(uuid7())  # type: ignore[attr-defined]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request.request_id)  # type: ignore[attr-defined]
    return time.perf_counter()


def finish(request: HttpRequest, response: HttpResponseBase, started: float) -> HttpResponseBase:
    """Mark the answer with the request's id and log it."""
    response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    share(request, response)
    log.info(
        "Answered a request.",
        action="request_finished",
        method=request.method,
        path=request.path,
        status=response.status_code,
        duration_ms=round((time.perf_counter() - started) * 1000, 1),
    )
    return response


def read_chunks(request: HttpRequest) -> None:
    """Read a body of unannounced length, which Django's WSGI request takes for an empty one."""
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    if not chunked or "CONTENT_LENGTH" in request.META or "wsgi.input" not in request.META:
        return
    body = read_body(request.META["wsgi.input"], None, MAX_BYTES)
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = BytesIO(body)


def across_organizations(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let operators see the rows of all organizations on the admin pages, and nowhere else (a middleware)."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith("/admin/"):
            return get_response(request)
        with scopes_disabled():
            return get_response(request)

    return answer
