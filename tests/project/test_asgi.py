"""Which requests go to the event loop, and what is done for the others."""

import json
from typing import Any

import pytest

from orchestra import asgi
from orchestra.asgi import is_stream

EVENTS = "/v1/runs/0192/events"


@pytest.mark.parametrize(
    ("path", "accept", "stream"),
    [
        (EVENTS, b"text/event-stream", True),
        (EVENTS, b"application/json, text/event-stream;q=0.9", True),
        (EVENTS, b"application/json", False),
        ("/v1/runs/0192", b"text/event-stream", False),
        ("/v1/runs/0192/events/more", b"text/event-stream", False),
        ("/v1/agent-definitions/guide/chat", b"*/*", True),
        ("/v1/agent-definitions/guide", b"text/event-stream", False),
    ],
)
def test_a_stream_is_known_by_path_and_accept_header(path: str, accept: bytes, *, stream: bool) -> None:
    scope = {"type": "http", "path": path, "headers": [(b"accept", accept)]}

    assert is_stream(scope) is stream


async def test_who_finds_no_room_is_told_so_and_when_to_come_again() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await asgi.turn_away(scope_of("/v1/runs"), nothing, send)

    start, body = sent
    headers = dict(start["headers"])
    problem = json.loads(body["body"])
    assert (start["status"], problem["code"], problem["status"]) == (503, "busy", 503)
    assert headers[b"content-type"] == b"application/problem+json"
    assert int(headers[b"retry-after"]) >= 1
    assert headers[b"x-request-id"].decode() == problem["request_id"]


def scope_of(path: str) -> asgi.Scope:
    return {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [], "http_version": "1.1"}


async def nothing() -> Any:
    raise AssertionError("nobody reads")
