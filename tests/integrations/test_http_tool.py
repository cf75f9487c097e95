import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import pytest

from apps.common.errors import Fatal, Retryable
from apps.integrations.services import invoke
from apps.integrations.tools import ToolContext
from tests.integrations.servers import Answer, holding, serving


@pytest.fixture
def server(settings):
    with serving() as server:
        settings.ORCHESTRA_EGRESS_ALLOW = frozenset({server.address})
        yield server


def request(server, ctx=None, path="/", **given):
    ctx = ctx or ToolContext(organization_id=uuid4(), idempotency_key="run:node:1:0:1")
    return invoke("http.request", {"url": server.url + path, **given}, ctx)


def test_json_comes_back_as_json(server):
    server.answer = lambda _: Answer(headers={"Content-Type": "application/json"}, body=b'{"a": [1, 2.5]}')

    output = request(server)

    assert output["json"] == {"a": [1, 2.5]}
    assert output["status"] == 200
    assert output["headers"]["content-type"] == "application/json"
    assert output["duration_ms"] > 0
    assert "body" not in output


@pytest.mark.parametrize("body", [b"{", b'{"a": 1, "a": 2}', b"[" * 200 + b"]" * 200, b"NaN"])
def test_what_only_claims_to_be_json_comes_back_as_text(server, body):
    server.answer = lambda _: Answer(headers={"Content-Type": "application/json"}, body=body)

    assert request(server)["body"] == body.decode()


def test_bytes_come_back_as_base64(server):
    server.answer = lambda _: Answer(headers={"Content-Type": "image/png"}, body=b"\x89PNG")

    assert request(server)["body_base64"] == "iVBORw=="


def test_json_is_sent_as_json(server):
    request(server, method="POST", json={"a": "ü"})

    received = server.received[0]
    assert (received.method, json.loads(received.body)) == ("POST", {"a": "ü"})
    assert received.headers["content-type"] == "application/json"


def test_text_is_sent_with_the_caller_s_content_type(server):
    request(server, method="PUT", body="a,b", headers={"Content-Type": "text/csv"})

    assert server.received[0].body == b"a,b"
    assert server.received[0].headers["content-type"] == "text/csv"


def test_only_what_changes_something_carries_the_idempotency_key(server):
    request(server, method="GET")
    request(server, method="POST", json=1)
    request(server, method="POST", json=1, headers={"Idempotency-Key": "mine"})

    keys = [received.headers.get("idempotency-key") for received in server.received]
    assert keys == [None, "run:node:1:0:1", "mine"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_retryable(server, status):
    server.answer = lambda _: Answer(status, {"Retry-After": "7"}, b"come back later")

    with pytest.raises(
        Retryable, match=f"GET http://127.0.0.1:{server.port}/ answered {status}: come back later"
    ) as caught:
        request(server)

    assert (caught.value.code, caught.value.retry_after) == (f"http_{status}", 7)
    assert caught.value.in_doubt == (status in {502, 504})  # there a gateway got no answer


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("99999999", 86_400),
        pytest.param(
            format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True),
            pytest.approx(3600, abs=3500),
            id="in an hour",
        ),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(server, header, seconds):
    server.answer = lambda _: Answer(503, {"Retry-After": header})

    with pytest.raises(Retryable) as caught:
        request(server)

    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_final(server, status):
    server.answer = lambda _: Answer(status, body=b"no")

    with pytest.raises(Fatal) as caught:
        request(server, path="/?token=secret")

    assert caught.value.code == f"http_{status}"
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("status", [404, 503])
def test_any_status_is_a_result_when_asked_for(server, status):
    server.answer = lambda _: Answer(status, body=b"text")

    assert request(server, fail_on_status=False)["status"] == status


@pytest.mark.parametrize(
    "headers",
    [{"Host": "internal"}, {"Transfer-Encoding": "chunked"}, {"X-A": "a\r\nX-B: b"}, {"X A": "a"}, {"X-A": "\x00"}],
)
def test_headers_that_smuggle_are_refused(server, headers):
    with pytest.raises(Fatal) as caught:
        request(server, headers=headers)

    assert caught.value.code == "invalid_input"
    assert server.received == []


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"method": "BREW"}, "'method'"),
        ({"timeout": 0}, "'timeout'"),
        ({"timeout": 61}, "'timeout'"),
        ({"metod": "GET"}, "'metod'"),
        ({"json": 1, "body": "x"}, "either 'json' or 'body'"),
    ],
)
def test_wrong_input_names_the_field(server, given, place):
    with pytest.raises(Fatal, match=place) as caught:
        request(server, **given)

    assert caught.value.code == "invalid_input"


def test_a_cancelled_call_ends_at_once(server):
    ctx = ToolContext(organization_id=uuid4(), idempotency_key="k", cancelled=lambda: bool(server.received))

    with holding() as server.answer, pytest.raises(BaseException, match="cancelled"):
        request(server, ctx=ctx)
