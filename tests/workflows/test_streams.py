"""Events as they come: server-sent events and WebSocket, from a real server over the wire."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from apps.common.database import release_connection
from apps.integrations.language_models import Message, Reply
from apps.integrations.language_models import registry as models
from orchestra import asgi
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import probe

LENGTH = 40


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server for the application of this process."""
    config = uvicorn.Config(asgi.application, port=0, lifespan="off", log_level="warning", ws="websockets-sansio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@dataclass(frozen=True)
class Frame:
    id: int
    event: str
    data: dict[str, Any]


class Reader:
    """Reads a run's stream with a key."""

    def __init__(self, address: str, secret: str) -> None:
        self.address, self.headers = address, {"Authorization": f"Bearer {secret}"}

    def stream(self, run: Any, query: str = "", **headers: str) -> Any:
        wanted = self.headers | {"Accept": "text/event-stream"} | headers
        return httpx.stream("GET", f"http://{self.address}/v1/runs/{run}/events{query}", headers=wanted, timeout=20)

    def frames(self, run: Any, query: str = "", *, most: int = 10_000, **headers: str) -> list[Frame]:
        """The frames until the stream ends, or until so many have come and the connection is cut."""
        found: list[Frame] = []
        with self.stream(run, query, **headers) as answer:
            assert answer.status_code == 200, answer.read()
            for frame in parsed(answer.iter_lines()):
                found.append(frame)
                if len(found) == most:
                    break
        return found

    def socket(self, run: Any, query: str = "", **headers: str) -> Any:
        return connect(f"ws://{self.address}/v1/runs/{run}/ws{query}", additional_headers=self.headers | headers)


def parsed(lines: Iterator[str]) -> Iterator[Frame]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield Frame(int(fields.get("id", 0)), fields["event"], json.loads(fields["data"]))
            fields = {}


@pytest.fixture
def reader(address: str, alice: Any) -> Reader:
    return Reader(address, alice.secret)


@pytest.fixture
def chain(room: EngineRoom, calls: Any) -> Iterator[Any]:
    """A run that goes on slowly in another thread."""
    calls["n"] = lambda task, ctx: time.sleep(0.02)
    names = [f"n{number}" for number in range(LENGTH)]
    edges = [f"{one} {other}" for one, other in itertools.pairwise(names)]
    run = room.start(workflow({name: probe("n") for name in names}, edges))

    def work() -> None:
        time.sleep(0.2)
        room.work()
        release_connection()

    thread = threading.Thread(target=work)
    thread.start()
    yield run
    thread.join()


def numbers(room: EngineRoom, run: Any) -> list[int]:
    return list(range(1, room.run(run).last_seq + 1))


def test_a_stream_tells_everything_live_and_ends_with_the_run(room, reader, chain):
    frames = reader.frames(chain)

    assert [frame.id for frame in frames] == numbers(room, chain)
    assert (frames[0].event, frames[-1].event) == ("node.queued", "run.completed")
    listed = [event.type for event in room.events(chain)]
    assert [frame.event for frame in frames] == listed
    assert all(frame.data["seq"] == frame.id and frame.data["type"] == frame.event for frame in frames)


def test_a_stream_that_is_cut_ten_times_has_no_gap_and_no_repeat(room, reader, chain):
    seen: list[int] = []

    for _ in range(10):
        headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
        seen += [frame.id for frame in reader.frames(chain, most=7, **headers)]
    seen += [frame.id for frame in reader.frames(chain, **{"Last-Event-ID": str(seen[-1])})]

    assert seen == numbers(room, chain)


def test_a_stream_resumes_by_parameter_too(room, reader):
    run = room.finish(workflow({"a": {}})).pk

    assert [frame.id for frame in reader.frames(run, "?after=2")] == numbers(room, run)[2:]


def test_a_stream_of_a_run_that_has_ended_ends_at_once(room, reader):
    run = room.finish(workflow({"a": {}})).pk
    last = room.run(run).last_seq

    assert [frame.id for frame in reader.frames(run)] == numbers(room, run)
    assert reader.frames(run, **{"Last-Event-ID": str(last)}) == []
    assert reader.frames(run, **{"Last-Event-ID": str(last + 100)}) == []


def test_many_readers_see_the_same(room, reader, chain):
    found: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda: found.append([frame.id for frame in reader.frames(chain)])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [numbers(room, chain)] * 8


def test_news_comes_while_the_run_goes_on(room, reader, calls):
    run = room.start(workflow({name: {"type": "wait", "event": name} for name in "ef"}))
    room.work()

    with reader.stream(run) as answer:
        frames = parsed(answer.iter_lines())
        for _ in range(2):
            while next(frames).event != "node.waiting":
                pass
        time.sleep(0.3)  # until the reader has nothing left to read and waits for news
        room.signal(run, "e")
        assert next(frames).event == "node.completed"

    assert room.run(run).status in {"running", "waiting"}


def test_the_headers_keep_proxies_from_holding_it_back(room, reader):
    run = room.finish(workflow({"a": {}})).pk

    with reader.stream(run) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "٣", "9" * 20, ""])
def test_a_number_that_is_none_is_refused(room, reader, after):
    run = room.finish(workflow({"a": {}})).pk

    with reader.stream(run, f"?after={after}") as answer:
        status = answer.status_code
        body = answer.read()

    assert (status, answer.headers["Content-Type"]) in (
        (400, "application/problem+json"),
        (200, "text/event-stream; charset=utf-8"),
    ), body
    assert status == (200 if after == "" else 400)


def test_a_stream_needs_a_key_and_shows_nothing_to_others(room, reader, address, charlie):
    run = room.finish(workflow({"a": {}})).pk

    for headers, status in (({"Authorization": ""}, 401), ({"Authorization": f"Bearer {charlie.secret}"}, 404)):
        with reader.stream(run, **headers) as answer:
            assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_an_unknown_run_is_not_found(reader, room):
    with reader.stream("nothing") as answer:
        assert answer.status_code == 404


# ---- WebSocket ------------------------------------------------------------------------------------


def messages(socket: Any, most: int = 10_000) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    try:
        while len(found) < most:
            found.append(json.loads(socket.recv(timeout=10)))
    except ConnectionClosed:
        pass
    return found


def test_a_socket_tells_the_same_frames(room, reader, chain):
    with reader.socket(chain) as socket:
        told = messages(socket)

    frames = reader.frames(chain)
    assert told == [{"id": frame.id, "event": frame.event, "data": frame.data} for frame in frames]
    assert socket.close_code == 1000


def test_a_socket_that_is_cut_resumes_without_gap_or_repeat(room, reader, chain):
    seen: list[int] = []
    for _ in range(5):
        with reader.socket(chain, f"?after={seen[-1] if seen else 0}") as socket:
            seen += [message["id"] for message in messages(socket, most=9)]
    with reader.socket(chain, f"?after={seen[-1]}") as socket:
        seen += [message["id"] for message in messages(socket)]

    assert seen == numbers(room, chain)


@pytest.mark.parametrize(("who", "code"), [("nobody", 4401), ("charlie", 4404)])
def test_a_socket_is_refused_with_a_code(room, reader, charlie, who, code):
    run = room.finish(workflow({"a": {}})).pk
    headers = {"Authorization": f"Bearer {charlie.secret}"} if who == "charlie" else {"Authorization": "Bearer no"}

    with reader.socket(run, **headers) as socket:
        assert messages(socket) == []

    assert socket.close_code == code


@pytest.mark.parametrize("path", ["/", "/v1/runs", "/ws", "/v1/runs//ws", "/x/y/z"])
def test_a_socket_to_nowhere_is_not_found(room, reader, path):
    with connect(f"ws://{reader.address}{path}", additional_headers=reader.headers) as socket:
        assert messages(socket) == []

    assert socket.close_code == 4404


def test_what_a_model_says_is_heard_as_it_comes_and_is_gone_when_it_is_said(room, reader):
    heard, go_on = threading.Event(), threading.Event()

    class Slow:
        name, description, is_demo = "test/slow", "Waits in the middle of its answer.", False

        async def answer(self, request: Any, hear: Any) -> Reply:
            hear("The sea ")
            await asyncio.to_thread(heard.wait, 30)
            hear("is salty.")
            await asyncio.to_thread(go_on.wait, 30)
            return Reply(message=Message(role="assistant", content="The sea is salty."))

    models.register(Slow())
    run = room.start(
        workflow({"a": {"type": "agent", "agent": "assistant", "model": "test/slow", "input": {"task": "x"}}})
    )
    worker = threading.Thread(target=lambda: (room.work(), release_connection()))
    worker.start()
    said: list[dict[str, Any]] = []
    numbered: list[int] = []
    try:
        with reader.stream(run, "?texts=true") as answer:
            for frame in parsed(answer.iter_lines()):
                if frame.event != "text":
                    numbered.append(frame.id)
                    continue
                said.append(frame.data)
                (heard if len(said) == 1 else go_on).set()
    finally:
        heard.set(), go_on.set()
        worker.join()
        models.unregister("test/slow")

    assert [(one["from"], one["text"]) for one in said] == [(0, "The sea "), (8, "is salty."), (0, "")]
    assert {(one["node"], one["visit"], one["index"]) for one in said} == {("a", 1, -1)}
    assert numbered == numbers(room, run)
