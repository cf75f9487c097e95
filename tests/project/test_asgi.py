"""Which requests go to the event loop."""

import pytest

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
