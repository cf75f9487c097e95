"""The SDK's side of an agent outside: what it does when the server is away, and whom it believes."""

import json
import threading
import time
from datetime import date

import pytest

from apps.agents import serving as agents_serving
from apps.agents.sdk import Agent, BaseModel
from apps.agents.serving import Refused, serve
from apps.agents.signing import TOLERANCE, is_genuine, signed_headers
from apps.agents.telling import ServedContext
from tests.acceptance.orchestra_process import wait_until
from tests.integrations.servers import Answer, serving

NOW = 1_700_000_000.0


@pytest.fixture
def shouter():
    class Shouter(Agent):
        name, capabilities = "shouter", ["shout"]

        class Input(BaseModel):
            text: str

        def exec(self, task, ctx):
            ctx.progress(0.4, "half")
            ctx.log.info("Shouting.", at=date(2030, 1, 1))
            return {"text": task.text.upper(), "key": ctx.idempotency_key()}

    return Shouter


class Server:
    """An Orchestra that has troubles of its own; `troubles` answers that often with 503."""

    def __init__(self, troubles):
        self.troubles, self.asked, self.results, self.reports = dict(troubles), [], [], []
        told = {"id": "t1", "fence": 3, "attempt": 1, "idempotency_key": "k"}
        self.tasks = [{**told, "input": {"text": "hello"}, "config": None}]

    def __call__(self, received):
        what = received.path.rsplit("/", 1)[-1] if received.method == "POST" else received.method
        self.asked.append(what)
        if self.troubles.get(what, 0) > 0:
            self.troubles[what] -= 1
            return Answer(503)
        return self.answers(what, json.loads(received.body or b"{}"))

    def answers(self, what, body):
        if what == "register":
            return self.json({"id": "i1", "secret": "whsec_x"}, 201)
        if what == "heartbeat":
            return self.json({"state": "idle", "mode": "active", "withdrawn": []})
        if what == "claim":
            time.sleep(0.05)
            return self.json({"task": self.tasks.pop() if self.tasks else None, "mode": "active"})
        if what == "t1":
            self.results.append(body)
        if what == "reports":
            self.reports.append(body)
        return self.json({})

    def json(self, body, status=200):
        return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())


@pytest.fixture
def desks(monkeypatch):
    """What `serve` works with, so that a test can tell it to stop."""
    made = []

    class Kept(agents_serving._Desk):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(agents_serving, "_Desk", Kept)
    return made


def test_it_waits_for_a_server_that_is_away_and_brings_what_it_has(shouter, desks):
    orchestra = Server({"register": 2, "claim": 1, "t1": 2, "heartbeat": 1})
    with serving(orchestra) as server:
        told = {"url": server.url, "key": "k", "name": "one", "interval": 0.2}
        thread = threading.Thread(target=serve, args=(shouter,), kwargs=told, daemon=True)
        thread.start()
        wait_until(lambda: orchestra.results)
        desks[0].stopping.set()
        thread.join(60)

    assert orchestra.results[0] == {
        "status": "completed", "output": {"text": "HELLO", "key": "k"}, "fence": 3,
    }  # fmt: skip
    assert orchestra.asked[-1] == "DELETE", "it signs off"
    assert orchestra.asked.count("register") == 3
    assert orchestra.asked.count("t1") == 3
    registered = json.loads(server.received[0].body)
    assert registered["input_schema"]["required"] == ["text"]
    assert server.received[0].headers["authorization"] == "Bearer k"


def test_what_an_agent_tells_arrives_before_its_result(shouter, desks):
    orchestra = Server({})
    with serving(orchestra) as server:
        told = {"url": server.url, "key": "k", "name": "one", "interval": 5}
        thread = threading.Thread(target=serve, args=(shouter,), kwargs=told, daemon=True)
        thread.start()
        wait_until(lambda: orchestra.results)
        desks[0].stopping.set()
        thread.join(60)

    assert orchestra.asked.index("reports") < orchestra.asked.index("t1")
    (report,) = orchestra.reports
    line = {"level": "info", "message": "Shouting.", "fields": {"at": "2030-01-01"}}
    assert report == {"first": 0, "lines": [line], "progress": {"fraction": 0.4, "message": "half"}, "fence": 3}


def test_lines_whose_arrival_nobody_heard_of_are_told_again_with_the_same_numbers():
    ctx = ServedContext(key="k")
    ctx.log.info("a")
    ctx.progress(0.1)
    lost = ctx.untold()
    ctx.log.info("b")
    ctx.progress(0.2)

    again = ctx.untold()
    ctx.told(again)

    assert (lost["first"], [line["message"] for line in lost["lines"]]) == (0, ["a"])
    assert (again["first"], [line["message"] for line in again["lines"]]) == (0, ["a", "b"])
    assert again["progress"]["fraction"] == 0.2
    assert ctx.untold() is None


def test_a_line_is_sent_whatever_it_holds():
    ctx = ServedContext(key="k")

    ctx.log.error("NUL \x00 and \ud800", value=object, number=float("nan"))

    (line,) = ctx.untold()["lines"]
    assert line["message"] == "NUL \ufffd and \ufffd"
    assert line["fields"] == {"value": "<class 'object'>", "number": "nan"}


def test_it_ends_where_it_is_not_taken(shouter):
    with serving(lambda _: Answer(403, body=b"No.")) as server, pytest.raises(Refused, match="does not take 'one'"):
        serve(shouter, url=server.url, key="k", name="one")


def test_to_listen_it_needs_an_endpoint(shouter):
    with pytest.raises(ValueError, match="endpoint"):
        serve(shouter, url="http://127.0.0.1:1", key="k", mode="push")


def signed(**changes):
    headers = signed_headers("secret", message="m", timestamp=int(NOW), body=b"{}")
    return headers | changes


@pytest.mark.parametrize(
    ("headers", "body", "now", "genuine"),
    [
        (signed(), b"{}", NOW, True),
        (signed(), b"{}", NOW + TOLERANCE, True),
        (signed(), b"{}", NOW + TOLERANCE + 1, False),
        (signed(), b"{}", NOW - TOLERANCE - 1, False),
        (signed(), b"{ }", NOW, False),
        (signed(**{"webhook-timestamp": str(int(NOW) + 1)}), b"{}", NOW, False),
        (signed(**{"webhook-signature": "v1,AAAA"}), b"{}", NOW, False),
        (signed(**{"webhook-signature": f"v1,AAAA {signed()['webhook-signature']}"}), b"{}", NOW, True),
        (signed(**{"webhook-timestamp": "now"}), b"{}", NOW, False),
        ({}, b"{}", NOW, False),
    ],
    ids=[
        "ours",
        "late",
        "too late",
        "too early",
        "another body",
        "another time",
        "forged",
        "of two",
        "no time",
        "none",
    ],
)
def test_only_what_was_signed_a_moment_ago_is_believed(headers, body, now, genuine):
    assert is_genuine("secret", headers, body, now=now) is genuine
    assert not is_genuine("another", headers, body, now=now)
