"""Errors for people: a page that says what happened and what to do next."""

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from apps.common.errors import DomainError

_SERVER_ERROR = 500
_NEXT = {
    400: "Go back and try it again.",
    403: "Ask an owner or an administrator of the organization for the right, or switch the organization.",
    404: "It may have been deleted, or it belongs to another organization than the one you are in.",
    429: "Wait a moment, then load the page again.",
    500: "Load the page again. If it happens again, the log has the details under the request id.",
    503: "Load the page again in a moment; nothing is lost meanwhile.",
}


def error_page(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Answer with an error inside the shell; with what is certain to render when something of ours is broken."""
    signed_in = getattr(getattr(request, "user", None), "is_authenticated", False)
    whole = signed_in and error.status < _SERVER_ERROR
    context = {
        "layout": "base.html" if whole else "bare.html",
        "error": error,
        "next_step": _NEXT.get(error.status, _NEXT[400]),
        "request_id": getattr(request, "request_id", ""),
        "theme": request.COOKIES.get("theme", ""),
    }
    # Without the request there are no context processors, and so no question to a database that may be silent.
    body = render_to_string("error.html", context, request if whole else None)
    return HttpResponse(body, status=error.status, headers={"Cache-Control": "no-store"})
