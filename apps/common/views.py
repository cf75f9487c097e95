"""The documentation of the API, for programs and in the browser; all of it served from here."""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.views import APIView

from apps.common import openapi

# Swagger UI and Redoc set styles from their scripts; Redoc searches in a worker made from a blob.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)


@require_safe
def openapi_document(request: HttpRequest) -> HttpResponse:
    """Answer with the OpenAPI document."""
    document = openapi.document()
    tag = f'"{hashlib.sha256(document).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(document, "application/json", headers=headers)


def docs_page(view: type[APIView], **options: Any) -> Callable[..., HttpResponseBase]:
    """Give a page of the documentation: for everybody, with the policy that its scripts need."""
    page = view.as_view(url="/v1/openapi.json", authentication_classes=(), permission_classes=(), **options)

    @wraps(page)
    def answer(request: HttpRequest) -> HttpResponseBase:
        response = page(request)
        response["Content-Security-Policy"] = DOCS_POLICY
        return response

    return answer


swagger = docs_page(SpectacularSwaggerSplitView)
redoc = docs_page(SpectacularRedocView, template_name="common/redoc.html")
