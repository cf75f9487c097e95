"""Which requests go to the event loop."""

import pytest

from orchestra.asgi import is_stream

EVENTS = "/v1/runs/0192/events"


@pytest.mark.parametrize(
    ("kind", "path", "accept", "stream"),
    [
        ("http", EVENTS, b"text/event-stream", True),
        ("http", EVENTS, b"application/json, text/event-stream;q=0.9", True),
        ("http", EVENTS, b"application/json", False),
        ("http", "/v1/runs/0192", b"text/event-stream", False),
        ("http", "/v1/runs/0192/events/more", b"text/event-stream", False),
        ("websocket", "/v1/runs/0192/ws", b"", True),
    ],
)
def test_a_stream_is_known_by_path_and_accept_header(kind: str, path: str, accept: bytes, *, stream: bool) -> None:
    scope = {"type": kind, "path": path, "headers": [(b"accept", accept)]}

    assert is_stream(scope) is stream
