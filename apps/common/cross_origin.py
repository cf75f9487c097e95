"""Scripts of other sites: those named in CORS_ORIGINS may use the API with a key or token, never with a session."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

METHODS = "GET, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Orchestra-Organization, "
    "X-Request-ID"
)
RESPONSE_HEADERS = (
    "ETag, Idempotent-Replayed, Link, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-ID"
)
PREFLIGHT_SECONDS = "600"


def preflight(request: HttpRequest) -> HttpResponse | None:
    """Answer a browser that asks whether a script may send its request; None for any other request."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    response = HttpResponse(status=204)
    if _is_allowed(request):
        response["Access-Control-Allow-Methods"] = METHODS
        response["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        response["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
    return response


def share(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let an allowed site's script read the answer. No `Allow-Credentials`: a cookie proves nothing there."""
    if not settings.CORS_ORIGINS:
        return
    response["Vary"] = ", ".join(filter(None, [response.get("Vary", ""), "Origin"]))
    if _is_allowed(request):
        response["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response["Access-Control-Expose-Headers"] = RESPONSE_HEADERS


def _is_allowed(request: HttpRequest) -> bool:
    return request.headers.get("Origin") in settings.CORS_ORIGINS
