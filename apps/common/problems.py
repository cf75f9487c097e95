"""Every error of the API as a problem document (RFC 9457), whoever raised it."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import django.db
import psycopg
import redis.exceptions
import structlog
from django.core import exceptions as django_exceptions
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from rest_framework import exceptions as rest_exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common import json
from apps.common.error_pages import error_page
from apps.common.errors import (
    BadRequest,
    Conflict,
    DomainError,
    ErrorItem,
    NotFound,
    PermissionDenied,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from apps.common.json import pointer_to

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 2.0  # what a caller is told to wait for a part that does not answer

log = structlog.get_logger(__name__)


class MethodNotAllowed(DomainError):
    """The address exists, but not for this method."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"


class UnsupportedMediaType(DomainError):
    """The body is in a format that is not read here."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class Unexpected(DomainError):
    """A mistake of ours; the log has the rest under the request's id."""

    status = 500
    code = "internal_error"
    title = "Internal error"


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer a view's exception; None for what nobody foresaw, which Django then logs and `server_error` answers."""
    error = as_domain_error(exception)
    if error is None:
        return None
    request = context["request"]
    headers = dict(_headers(error))
    return Response(problem(request, error), status=error.status, headers=headers, content_type=CONTENT_TYPE)


def problem(request: Request | HttpRequest, error: DomainError) -> dict[str, Any]:
    """Give the problem document of an error."""
    document = {
        "type": f"urn:orchestra:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request.path,
        "code": error.code,
        "request_id": getattr(request, "request_id", None),
        **error.extra,
    }
    if error.errors:
        document["errors"] = [item.as_json() for item in error.errors]
    return document


def problem_response(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Answer with an error outside of REST framework's views."""
    body = json.dumps(problem(request, error))
    return HttpResponse(body, CONTENT_TYPE, error.status, headers=dict(_headers(error)))


def as_domain_error(exception: BaseException | None) -> DomainError | None:
    """Give the error that an exception means for the caller; None when nobody foresaw it."""
    for kinds, answer in _FORESEEN:
        if isinstance(exception, kinds):
            return answer(exception)
    return None


def _invalid(exception: rest_exceptions.ValidationError) -> DomainError:
    items = list(_items(exception.detail, ""))
    detail = " ".join(dict.fromkeys(f"{item.pointer or 'The body'}: {item.message}" for item in items[:5]))
    return BadRequest(detail, code="invalid_request", errors=items)


def _items(detail: Any, pointer: str) -> Iterator[ErrorItem]:
    """Give the leaves of a serializer's errors with their places."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _items(inner, pointer if name == "non_field_errors" else pointer + pointer_to(name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            # A list holds the messages of one field, or a dictionary for each of its items.
            yield from _items(inner, pointer + pointer_to(index) if isinstance(inner, dict) else pointer)
    else:
        yield ErrorItem(pointer, getattr(detail, "code", "invalid"), str(detail))


def _unstorable(exception: Exception) -> DomainError:
    # The last net: what the database cannot store should have been refused before.
    log.warning("A value got as far as the database.", action="data_error", error=str(exception))
    return BadRequest("A value cannot be stored.", code="invalid_value")


def _conflicting(exception: Exception) -> DomainError:
    log.warning("A conflict was left to the database.", action="integrity_error", error=str(exception))
    return Conflict("This conflicts with what is stored.")


def _database_silent(exception: Exception) -> DomainError:
    log.warning("The database does not answer.", action="database_unavailable", error=str(exception))
    return Unavailable("The database does not answer.", code="database_unavailable", retry_after=RETRY_SECONDS)


def _redis_silent(_exception: Exception) -> DomainError:
    return Unavailable("Redis does not answer.", code="redis_unavailable", retry_after=RETRY_SECONDS)


def _nothing_here(_exception: Exception) -> DomainError:
    return NotFound("There is nothing at this address.")


def _unreadable(_exception: Exception) -> DomainError:
    return BadRequest("The request cannot be read.")


# What an exception means for the caller; the first kind that fits.
_FORESEEN: Sequence[tuple[tuple[type[BaseException], ...], Callable[[Any], DomainError]]] = (
    ((DomainError,), lambda error: error),
    ((rest_exceptions.ValidationError,), _invalid),
    (
        (rest_exceptions.NotAuthenticated, rest_exceptions.AuthenticationFailed),
        lambda error: Unauthenticated(str(error.detail)),
    ),
    ((rest_exceptions.PermissionDenied,), lambda error: PermissionDenied(str(error.detail))),
    ((rest_exceptions.NotFound, Http404), _nothing_here),
    ((rest_exceptions.MethodNotAllowed,), lambda error: MethodNotAllowed(str(error.detail))),
    (
        (rest_exceptions.UnsupportedMediaType,),
        lambda error: UnsupportedMediaType(f"{error.detail} Send application/json or application/yaml."),
    ),
    (
        (rest_exceptions.Throttled,),
        lambda error: TooManyRequests(str(error.detail), retry_after=error.wait),
    ),
    ((rest_exceptions.APIException,), lambda error: BadRequest(str(error.detail))),
    (
        (django_exceptions.PermissionDenied,),
        lambda error: PermissionDenied(str(error) or "This is not allowed."),
    ),
    ((django_exceptions.RequestDataTooBig,), lambda _: TooLarge("The body is too large.")),
    ((django_exceptions.SuspiciousOperation, UnreadablePostError), _unreadable),
    ((django.db.DataError, psycopg.DataError), _unstorable),
    ((django.db.IntegrityError, psycopg.IntegrityError), _conflicting),
    (
        (django.db.OperationalError, django.db.InterfaceError, psycopg.OperationalError, psycopg.InterfaceError),
        _database_silent,
    ),
    ((redis.exceptions.ConnectionError, redis.exceptions.TimeoutError), _redis_silent),
)


def _headers(error: DomainError) -> Iterator[tuple[str, str]]:
    yield "Cache-Control", "no-store"
    if error.status == HTTPStatus.UNAUTHORIZED:
        yield "WWW-Authenticate", 'Bearer realm="orchestra"'
    if error.retry_after is not None:
        yield "Retry-After", str(max(1, math.ceil(error.retry_after)))


# What Django calls when an error leaves the views (see orchestra/urls.py and CSRF_FAILURE_VIEW). Pages stay pages.


def answer_error(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Answer with an error outside of REST framework's views: a page for a browser, a document for a program."""
    return error_page(request, error) if wants_page(request) else problem_response(request, error)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself finds malformed."""
    return answer_error(request, as_domain_error(exception) or BadRequest("The request cannot be read."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself forbids."""
    return answer_error(request, as_domain_error(exception) or PermissionDenied("This is not allowed."))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that does not exist."""
    return answer_error(request, as_domain_error(exception) or NotFound("There is nothing at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception nobody caught; the database's silence is one that was foreseen."""
    mistake = Unexpected("Something went wrong on our side. The log has it under the request id.")
    return answer_error(request, as_domain_error(sys.exc_info()[1]) or mistake)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form or session request without its CSRF token."""
    return answer_error(request, PermissionDenied(f"The CSRF check failed: {reason}", code="csrf_failed"))


def wants_page(request: HttpRequest) -> bool:
    """Tell whether a person in a browser is asking, and not for the API."""
    return "text/html" in request.headers.get("Accept", "") and not request.path.startswith("/v1/")
