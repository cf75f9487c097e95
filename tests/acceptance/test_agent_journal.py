"""An agent whose worker is killed in the middle of it, as its far end sees it: nothing is asked for twice."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.acceptance.orchestra_process import RunningOrchestra, Start, wait_until
from tests.integrations.servers import Answer, Received, Server, serving

pytestmark = pytest.mark.timeout(600)  # three Python processes start, and twice a worker; the machine may be busy

STEPS = 10
LONG = hypothesis.settings.get_current_profile_name() == "long"
KILLED_AT = range(1, STEPS + 1) if LONG else [6]
PLUGIN = '''
import os
import signal
from pathlib import Path

from orchestra.sdk import Agent, Context


class TenCalls(Agent):
    """Makes ten calls, and once, before the one it is told, kills the process it runs in."""

    name = "ten_calls"

    def exec(self, task: dict, ctx: Context) -> list:
        answers = []
        for number in range(1, 11):
            if number == task.get("dies_before"):
                self.die_once(Path(task["mark"]))
            call = {"url": task["url"], "method": "POST", "json": {"number": number}}
            answers.append(ctx.call_tool("http.request", call)["json"]["number"])
        return answers

    def die_once(self, mark: Path) -> None:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
'''


class FarEnd:
    """Answers each call with its number, and does something else first when it gets the call it waits for."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.forget()

    def forget(self) -> None:
        self.at_call: int | None = None
        self.surprise = lambda: None
        if self.server:
            self.server.received.clear()

    def answer(self, received: Received) -> Answer:
        assert self.server
        if len(self.server.received) == self.at_call:
            self.at_call = None
            self.surprise()
        return Answer(headers={"content-type": "application/json"}, body=received.body)

    @property
    def keys(self) -> list[str]:
        assert self.server
        return [received.headers["idempotency-key"] for received in self.server.received]


@pytest.fixture(scope="module")
def serving_far_end() -> Iterator[FarEnd]:
    far_end = FarEnd()
    with serving(far_end.answer) as far_end.server:
        yield far_end


@pytest.fixture
def far_end(serving_far_end: FarEnd) -> FarEnd:
    serving_far_end.forget()
    return serving_far_end


@pytest.fixture(scope="module")
def orchestra(start: Start, home: Path, serving_far_end: FarEnd) -> RunningOrchestra:
    """One with the agent of this test, that may reach the far end."""
    (home.parent / "ten_calls.py").write_text(PLUGIN)
    assert serving_far_end.server
    return start(
        PYTHONPATH=str(home.parent),
        ORCHESTRA_PLUGINS="ten_calls",
        ORCHESTRA_EGRESS_ALLOW=serving_far_end.server.address,
    ).wait_ready()


def start_run(orchestra: RunningOrchestra, far_end: FarEnd, *, on_unknown: str | None = None, **given: Any) -> str:
    assert far_end.server
    node = {"type": "agent", "agent": "ten_calls", "input": {"url": f"{far_end.server.url}/", **given}}
    node |= {"on_unknown": on_unknown} if on_unknown else {}
    answer = orchestra.call("POST", "/v1/runs", json={"definition": {"name": "ten", "nodes": {"a": node}}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def ended(orchestra: RunningOrchestra, run: str) -> dict[str, Any]:
    def show() -> dict[str, Any]:
        return dict(orchestra.call("GET", f"/v1/runs/{run}").json())

    # A worker starts again within seconds; on a busy machine Python alone may take some of them.
    wait_until(lambda: show()["status"] in {"completed", "failed"}, 150, lambda: str(show()))
    return show()


@pytest.mark.parametrize("step", KILLED_AT)
def test_an_agent_killed_between_two_calls_goes_on_at_the_next(
    orchestra: RunningOrchestra, far_end: FarEnd, tmp_path: Path, step: int
) -> None:
    run = start_run(orchestra, far_end, dies_before=step, mark=str(tmp_path / "mark"))

    shown = ended(orchestra, run)

    assert (shown["status"], shown["output"]) == ("completed", {"a": list(range(1, STEPS + 1))})
    assert (shown["nodes"][0]["lost_count"], shown["nodes"][0]["attempt"]) == (1, 1)
    assert far_end.keys == [f"{run}:a:1:-1:{number}" for number in range(1, STEPS + 1)]


@pytest.mark.parametrize("step", KILLED_AT)
def test_the_call_in_flight_is_repeated_with_its_key_where_the_node_says_that_it_may(
    orchestra: RunningOrchestra, far_end: FarEnd, step: int
) -> None:
    far_end.at_call, far_end.surprise = step, orchestra.children()["worker1"].kill
    run = start_run(orchestra, far_end, on_unknown="retry")

    shown = ended(orchestra, run)

    assert (shown["status"], shown["output"]) == ("completed", {"a": list(range(1, STEPS + 1))})
    assert Counter(far_end.keys) == {f"{run}:a:1:-1:{number}": 1 + (number == step) for number in range(1, STEPS + 1)}


@pytest.mark.parametrize("step", KILLED_AT)
def test_the_call_in_flight_is_a_person_s_to_decide_where_nobody_knows(
    orchestra: RunningOrchestra, far_end: FarEnd, step: int
) -> None:
    far_end.at_call, far_end.surprise = step, orchestra.children()["worker1"].kill
    run = start_run(orchestra, far_end)

    stopped = ended(orchestra, run)
    (effect,) = orchestra.call("GET", f"/v1/runs/{run}/effects?state=unknown").json()["items"]
    assert (stopped["status"], stopped["error"]["code"], effect["call"]) == ("failed", "effect_unknown", step)
    assert len(far_end.keys) == step
    result = {"status": 200, "url": "", "headers": {}, "duration_ms": 1, "json": {"number": "seen by hand"}}
    said = orchestra.call("POST", f"/v1/effects/{effect['id']}", json={"decision": "happened", "result": result})
    assert said.status_code == 200, said.text
    shown = ended(orchestra, run)

    by_hand = ["seen by hand" if number == step else number for number in range(1, STEPS + 1)]
    assert (shown["status"], shown["output"]) == ("completed", {"a": by_hand})
    assert list(Counter(far_end.keys).values()) == [1] * STEPS
