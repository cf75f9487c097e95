import json

import pytest
from asgiref.sync import iscoroutinefunction
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django_scopes.exceptions import ScopeError

from apps.accounts.models import ApiKey
from apps.common.errors import NotFound, TooLarge
from apps.common.middleware import RequestMiddleware, across_organizations


async def test_a_stream_is_answered_on_the_event_loop():
    async def view(request):
        return HttpResponse(request.request_id)

    middleware = RequestMiddleware(view)
    answer = await middleware(AsyncRequestFactory().get("/v1/runs/1/events", headers={"X-Request-ID": "abc"}))

    assert iscoroutinefunction(middleware)
    assert (answer.content, answer["X-Request-ID"]) == (b"abc", "abc")


async def test_a_preflight_of_a_stream_is_answered_too(settings):
    settings.CORS_ORIGINS = ["https://app.example"]
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}

    async def view(_request):
        raise AssertionError("The view was called.")

    answer = await RequestMiddleware(view)(AsyncRequestFactory().options("/v1/runs/1/events", headers=headers))

    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (204, "https://app.example")


def test_what_a_middleware_inside_refuses_is_a_problem():
    def refuse(_request):
        raise TooLarge("Too much.")

    answer = RequestMiddleware(refuse)(RequestFactory().get("/x"))

    assert answer.status_code == 413
    assert json.loads(answer.content)["code"] == "too_large"


def test_a_foreseen_exception_of_a_view_is_answered_and_others_are_not():
    request = RequestFactory().get("/x")
    middleware = RequestMiddleware(lambda _request: HttpResponse())

    assert middleware.process_exception(request, NotFound("No.")).status_code == 404
    assert middleware.process_exception(request, ZeroDivisionError()) is None


def test_only_the_admin_pages_see_all_organizations(alice, charlie):
    count = across_organizations(lambda _request: HttpResponse(str(ApiKey.objects.count())))

    assert count(RequestFactory().get("/admin/accounts/apikey/")).content == b"2"
    for path in ("/v1/api-keys", "/administration", "/v1/admin/"):
        with pytest.raises(ScopeError):
            count(RequestFactory().get(path))
