"""A WSGI application behind an ASGI server: what comes in, what goes out, and how much at a time."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

from orchestra.wsgi_threads import BODY_BYTES, PIECE_BYTES, Receive, Scope, Send, WsgiThreads

Messages = list[dict[str, Any]]
POST: Scope = {
    "type": "http",
    "method": "POST",
    "path": "/p",
    "query_string": b"q=1",
    "headers": [],
    "http_version": "1.1",
}


async def turned_away(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})


def on_threads(wsgi: Any, *, threads: int = 2, room: int = 10) -> WsgiThreads:
    return WsgiThreads(wsgi, threads=threads, room=room, turn_away=turned_away)


async def ask(application: WsgiThreads, parts: Iterable[bytes] = (b"",), *, ends: bool = True) -> Messages:
    """What is sent for a request whose body comes in these parts; with `ends` false the client goes away then."""
    pieces = list(parts)
    sent: Messages = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces) or not ends}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message | {"unread": len(pieces)})

    await application(POST, receive, send)
    return sent


def echo(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    start("201 Created", [("X-Path", environ["PATH_INFO"])])
    return [environ["wsgi.input"].read()]


async def test_the_body_goes_in_and_status_headers_and_answer_come_out() -> None:
    start, body = await ask(on_threads(echo), [b"one ", b"two"])

    assert (start["status"], start["headers"]) == (201, [(b"x-path", b"/p")])
    assert (body["body"], body["more_body"]) == (b"one two", False)


async def test_a_large_body_arrives_whole() -> None:
    parts = [bytes([number]) * 100_000 for number in range(20)]

    sent = await ask(on_threads(echo), parts)

    assert b"".join(message.get("body", b"") for message in sent) == b"".join(parts)


async def test_of_a_body_that_is_too_large_only_a_part_is_kept() -> None:
    parts = [b"x" * 1_000_000] * 20

    sent = await ask(on_threads(echo), parts)

    assert BODY_BYTES <= sum(len(message.get("body", b"")) for message in sent) < len(parts) * 1_000_000


async def test_an_answer_waits_until_the_body_that_it_refuses_has_been_read() -> None:
    def refuse(_environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("413 Content Too Large", [])
        return []

    sent = await ask(on_threads(refuse), [b"x" * 1000] * 10)

    assert [(message.get("status"), message["unread"]) for message in sent] == [(413, 0), (None, 0)]


async def test_a_client_that_goes_away_before_its_body_has_come_is_not_answered() -> None:
    assert await ask(on_threads(echo), [b"some"], ends=False) == []


async def test_a_large_answer_is_sent_in_pieces() -> None:
    def large(_environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        return (b"x" * 50_000 for _ in range(20))

    _start, *bodies = await ask(on_threads(large))

    assert sum(len(body["body"]) for body in bodies) == 1_000_000
    assert all(len(body["body"]) <= PIECE_BYTES + 50_000 for body in bodies)
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]


async def test_who_comes_when_there_is_no_room_is_turned_away_and_the_others_are_answered() -> None:
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    def slow(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        waiting.release()
        go_on.wait(10)
        return echo(environ, start)

    application = on_threads(slow, threads=1, room=3)
    inside = [asyncio.create_task(ask(application)) for _ in range(3)]
    await asyncio.to_thread(waiting.acquire, timeout=10)
    turned = await ask(application)
    go_on.set()

    assert [message["status"] for message in turned] == [503]
    assert [(await one)[0]["status"] for one in inside] == [201, 201, 201]
    assert (await ask(application))[0]["status"] == 201
