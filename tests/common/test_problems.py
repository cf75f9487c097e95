import json
from io import BytesIO
from uuid import UUID

import django.db
import psycopg
import pytest
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from psycopg_pool import PoolTimeout
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.test import APIClient

from apps.accounts.access import ApiView
from apps.common.errors import DomainError, ErrorItem, Invalid, Unavailable

ERRORS: dict[str, Exception] = {
    "invalid": Invalid("No.", errors=[ErrorItem("/a", "wrong", "Wrong.", "Do it right.")], extra={"hint": 1}),
    "unavailable": Unavailable("Later.", retry_after=2.2),
    "not-authenticated": exceptions.NotAuthenticated(),
    "rest-permission": exceptions.PermissionDenied(),
    "rest-not-found": exceptions.NotFound(),
    "throttled": exceptions.Throttled(wait=7),
    "parse": exceptions.ParseError("Broken."),
    "http404": Http404("secret detail"),
    "permission": DjangoPermissionDenied(),
    "too-big": RequestDataTooBig(),
    "data": django.db.DataError("bad value"),
    "integrity": django.db.IntegrityError("twice"),
    "operational": django.db.OperationalError("secret host"),
    "psycopg": psycopg.OperationalError("secret host"),
    "pool": PoolTimeout("none free"),
    "redis": RedisConnectionError("secret host"),
    "mistake": ZeroDivisionError("secret"),
    "validation": exceptions.ValidationError(
        {"a": {"b/c": ["Wrong."]}, "list": [{}, {"x": ["Bad."]}], "non_field_errors": ["All."]}
    ),
}


class RaisingView(ApiView):
    authentication_classes = ()

    def get(self, _request, kind):
        raise ERRORS[kind]

    def post(self, request, kind):
        return Response({"got": request.data})


def plain(_request: HttpRequest, kind: str) -> HttpResponse:
    raise ERRORS[kind]


urlpatterns = [path("v1/raise/<str:kind>", RaisingView.as_view()), path("plain/<str:kind>", plain)]
handler400 = "apps.common.problems.bad_request"
handler403 = "apps.common.problems.permission_denied"
handler404 = "apps.common.problems.page_not_found"
handler500 = "apps.common.problems.server_error"

pytestmark = pytest.mark.urls("tests.common.test_problems")
ECHO = "/v1/raise/x"


@pytest.fixture
def client(db) -> APIClient:
    return APIClient(raise_request_exception=False)


def problem_of(answer):
    assert answer["Content-Type"] == "application/problem+json"
    document = json.loads(answer.content)
    assert document["status"] == answer.status_code
    assert {"type", "title", "detail", "instance", "code", "request_id"} <= set(document)
    assert document["request_id"] == answer["X-Request-ID"]
    return document


@pytest.mark.parametrize("place", ["/v1/raise", "/plain"])
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("invalid", 422, "invalid"),
        ("unavailable", 503, "unavailable"),
        ("not-authenticated", 401, "unauthenticated"),
        ("rest-permission", 403, "permission_denied"),
        ("rest-not-found", 404, "not_found"),
        ("throttled", 429, "rate_limited"),
        ("parse", 400, "bad_request"),
        ("http404", 404, "not_found"),
        ("permission", 403, "permission_denied"),
        ("too-big", 413, "too_large"),
        ("data", 400, "invalid_value"),
        ("integrity", 409, "conflict"),
        ("operational", 503, "database_unavailable"),
        ("psycopg", 503, "database_unavailable"),
        ("pool", 503, "database_unavailable"),
        ("redis", 503, "redis_unavailable"),
        ("mistake", 500, "internal_error"),
        ("validation", 400, "invalid_request"),
    ],
)
def test_every_error_is_a_problem_document(client, place, kind, status, code):
    answer = client.get(f"{place}/{kind}")

    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (status, code)
    assert document["type"] == f"urn:orchestra:problem:{code}"
    assert document["instance"] == f"{place}/{kind}"
    assert "secret" not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()


def test_a_problem_says_where_and_how_to_mend_it(client):
    document = problem_of(client.get("/v1/raise/invalid"))

    assert document["errors"] == [{"pointer": "/a", "code": "wrong", "message": "Wrong.", "fix": "Do it right."}]
    assert document["hint"] == 1


def test_the_places_of_a_serializers_errors_are_json_pointers(client):
    document = problem_of(client.get("/v1/raise/validation"))

    assert [item["pointer"] for item in document["errors"]] == ["/a/b~1c", "/list/1/x", ""]


@pytest.mark.parametrize(("kind", "seconds"), [("unavailable", "3"), ("throttled", "7"), ("operational", "2")])
def test_what_passes_says_when_to_come_back(client, kind, seconds):
    assert client.get(f"/v1/raise/{kind}")["Retry-After"] == seconds


def test_an_unknown_address_is_a_problem_for_programs_and_a_page_for_people(client):
    assert problem_of(client.get("/nowhere"))["code"] == "not_found"
    assert problem_of(client.get("/v1/nowhere", headers={"Accept": "text/html"}))["code"] == "not_found"
    assert client.get("/nowhere", headers={"Accept": "text/html"})["Content-Type"].startswith("text/html")


def test_another_method_is_a_problem_that_names_the_right_ones(client):
    answer = client.delete(ECHO)

    assert problem_of(answer)["code"] == "method_not_allowed"
    assert "POST" in answer["Allow"]


def test_another_host_is_a_problem(client):
    answer = client.get(ECHO, headers={"Host": "evil.example"})

    assert (answer.status_code, problem_of(answer)["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", ""]
)
def test_another_media_type_is_a_problem_that_names_the_right_ones(client, media_type):
    answer = client.generic("POST", ECHO, b"a=1", content_type=media_type)

    assert answer.status_code == 415
    assert "application/json" in problem_of(answer)["detail"]


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read(client, media_type):
    assert client.generic("POST", ECHO, b'{"a": 1}', content_type=media_type).json() == {"got": {"a": 1}}


@pytest.mark.parametrize("media_type", ["application/yaml", "text/yaml", "application/x-yaml"])
def test_yaml_is_read(client, media_type):
    assert client.generic("POST", ECHO, b"on: yes", content_type=media_type).json() == {"got": {"on": "yes"}}


def test_no_body_is_an_empty_object(client):
    assert client.generic("POST", ECHO, b"", content_type="application/json").json() == {"got": {}}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"a": 1', 400, "invalid_json"),
        (b'{"a": 1, "a": 2}', 400, "duplicate_key"),
        (b'{"a": "\\u0000"}', 400, "nul_character"),
        (b'{"a": "\\ud800"}', 400, "lone_surrogate"),
        (b'{"a": NaN}', 400, "invalid_number"),
        (b'{"a": "\xff"}', 400, "invalid_utf8"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "nested_too_deep"),
        (b'{"a": "' + b"x" * 10_000_000 + b'"}', 413, "too_large"),
    ],
)
def test_a_hostile_body_is_a_problem(client, body, status, code):
    answer = client.generic("POST", ECHO, body, content_type="application/json")

    assert (answer.status_code, problem_of(answer)["code"]) == (status, code)


def test_a_body_of_announced_size_is_refused_unread(client):
    class Unreadable:
        def read(self, *_):
            raise AssertionError("The body was read.")

        readline = read

    answer = client.generic(
        "POST", ECHO, b"{}", content_type="application/json", CONTENT_LENGTH="10000000", **{"wsgi.input": Unreadable()}
    )

    assert answer.status_code == 413


def test_a_body_in_chunks_is_read(client):
    class Chunked(Client):
        def _base_environ(self, **request):
            environ = super()._base_environ(**request)
            environ.pop("CONTENT_LENGTH", None)
            return environ

    def post(body):
        headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
        return Chunked().post(ECHO, content_type="application/json", headers=headers, **{"wsgi.input": BytesIO(body)})

    assert post(b'{"a": 1}').json() == {"got": {"a": 1}}
    assert post(b" " * 10_000_000).status_code == 413


def test_an_unknown_query_parameter_is_a_problem(client):
    assert problem_of(client.post(f"{ECHO}?dry=1", {}, format="json"))["code"] == "unknown_parameter"


def test_an_answer_carries_the_callers_request_id(client):
    assert client.get(ECHO, headers={"X-Request-ID": "abc-123"})["X-Request-ID"] == "abc-123"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "ä", "a\x7f", "<script>"])
def test_a_senseless_request_id_is_replaced(client, sent):
    assert UUID(client.get(ECHO, headers={"X-Request-ID": sent})["X-Request-ID"]).version == 7


def test_an_answer_may_do_nothing_in_a_browser(client):
    answer = client.get("/v1/raise/invalid")

    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "no-store"


def test_every_kind_of_error_has_its_own_status_and_title():
    kinds = DomainError.__subclasses__()

    assert len({kind.status for kind in kinds}) == len(kinds)
    assert all(kind.__doc__ and kind.title != "Error" for kind in kinds)
