"""Which requests go to the event loop, and what is done for the others."""

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
    ],
)
def test_a_stream_is_known_by_path_and_accept_header(path: str, accept: bytes, *, stream: bool) -> None:
    scope = {"type": "http", "path": path, "headers": [(b"accept", accept)]}

    assert is_stream(scope) is stream


async def test_an_answer_waits_until_the_body_that_it_refuses_has_been_read(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [{"type": "http.request", "body": b"x" * 1000, "more_body": number < 9} for number in range(10)]
    sent = []

    async def refuse(_scope: asgi.Scope, _receive: asgi.Receive, send: asgi.Send) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})

    async def receive() -> object:
        return parts.pop(0)

    async def send(message: object) -> None:
        sent.append((message, len(parts)))

    monkeypatch.setattr(asgi, "requests", refuse)

    await asgi.application({"type": "http", "path": "/v1/workflows", "headers": []}, receive, send)

    assert [left for _, left in sent] == [0]
