"""How a worker stops: by every signal, whatever it is in the middle of."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
import pytest

from orchestra.programs import worker
from tests.acceptance.orchestra_process import RunningOrchestra, Start, wait_until

DRAIN_SECONDS = 4
TURNS = 3

SIGNALS = {
    "SIGTERM": (signal.SIGTERM,),
    "double SIGTERM": (signal.SIGTERM, signal.SIGTERM),
    "SIGQUIT": (signal.SIGQUIT,),
    "SIGKILL": (signal.SIGKILL,),
}
ASKED = ("SIGTERM", "double SIGTERM")
ALIVE = "select 1 from workflows_worker where pid = %s and stopped_at is null"
TURNS_TAKEN = (
    "select 1 from workflows_journalentry j join workflows_noderun n on n.id = j.node_run_id where n.run_id = %s"
)


def nodes(gates: Path) -> dict[str, dict[str, Any]]:
    """A node for each state; all but the approval go on when their gate is opened."""
    return {
        "short node": {"type": "agent", "agent": "chaos_gate", "input": {"gate": str(gates / "short")}},
        "long node": {"type": "agent", "agent": "chaos_gate", "input": {"gate": str(gates / "long")}},
        "agent turn": {"type": "agent", "agent": "chaos_turns", "input": {"gate": str(gates / "long"), "turns": TURNS}},
        "waiting approval": {"type": "approval", "message": "Go on?"},
    }


@dataclass
class Stopped:
    """A worker that was stopped in the middle of everything, and what had been under way."""

    orchestra: RunningOrchestra
    pid: int
    runs: dict[str, str]

    def ended(self, state: str) -> dict[str, Any]:
        """The node of the run in that state, once the run has ended."""
        wait_until(lambda: self._run(state)["status"] == "completed", 60, lambda: self.orchestra.output)
        return dict(self._run(state)["nodes"][0])

    def _run(self, state: str) -> dict[str, Any]:
        return dict(self.orchestra.call("GET", f"/v1/runs/{self.runs[state]}").json())


@pytest.fixture(scope="module")
def orchestra(start: Start) -> RunningOrchestra:
    """One with a single worker, which knows the agent that takes turns."""
    return start(
        "--no-demo",
        "--workers=1",
        ORCHESTRA_PLUGINS="orchestra.chaos.agents",
        ORCHESTRA_DRAIN_SECONDS=str(DRAIN_SECONDS),
    ).wait_ready()


@pytest.fixture(scope="module")
def idle(orchestra: RunningOrchestra) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """A worker for each signal that has nothing to do; all of them have gone before anything else begins."""
    environment = psutil.Process(orchestra.children()["worker1"].pid).environ()
    with (orchestra.home / "idle.log").open("wb") as log:
        workers = {name: worker(10 + place, environment).popen(log) for place, name in enumerate(SIGNALS)}
    try:
        wait_until(lambda: all(rows(orchestra, ALIVE, process.pid) for process in workers.values()), 60)
        for name, process in workers.items():
            send(process.pid, name)
        for process in workers.values():
            process.wait(20)
        yield workers
    finally:
        for process in workers.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=SIGNALS)
def stopped(
    orchestra: RunningOrchestra, idle: object, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Stopped:
    """The worker of the house, stopped by a signal in the middle of everything; its supervisor starts another.

    The short node could end as soon as the signal was sent, all others only after the worker is gone.
    """
    gates = tmp_path_factory.mktemp("gates")
    runs = {state: submit(orchestra, node) for state, node in nodes(gates).items()}
    wait_until(lambda: all(is_begun(orchestra, run) for run in runs.values()), 60, lambda: orchestra.output)
    wait_until(lambda: rows(orchestra, TURNS_TAKEN, runs["agent turn"]), 20)
    process = orchestra.children()["worker1"]
    send(process.pid, request.param)
    (gates / "short").touch()
    wait_until(lambda: not is_running(process), 20, lambda: orchestra.output)
    (gates / "long").touch()
    return Stopped(orchestra, process.pid, runs)


def send(pid: int, name: str) -> None:
    for number, one in enumerate(SIGNALS[name]):
        time.sleep(0.2 * number)
        os.kill(pid, one)


def rows(orchestra: RunningOrchestra, sql: LiteralString, parameter: object) -> list[Any]:
    services = json.loads((orchestra.home / "services.json").read_text())
    with psycopg.connect(services["database_url"]) as connection:
        return connection.execute(sql, [parameter]).fetchall()


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it has ended between the two
        return False


def submit(orchestra: RunningOrchestra, node: dict[str, Any]) -> str:
    answer = orchestra.call("POST", "/v1/runs", json={"definition": {"name": "drain", "nodes": {"only": node}}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def is_begun(orchestra: RunningOrchestra, run: str) -> bool:
    nodes = orchestra.call("GET", f"/v1/runs/{run}").json()["nodes"]
    return bool(nodes) and nodes[0]["status"] in {"running", "waiting"}


def signal_of(stopped: Stopped, request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["stopped"])


def outcomes(node: dict[str, Any]) -> list[str]:
    return [attempt["outcome"] for attempt in node["attempts"]]


@pytest.mark.parametrize("name", SIGNALS)
def test_an_idle_worker_goes_at_once(idle: dict[str, "subprocess.Popen[bytes]"], name: str) -> None:
    code = idle[name].returncode

    assert code == (-signal.SIGKILL if name == "SIGKILL" else 0)


def test_a_short_node_is_finished_by_the_worker_that_is_asked_to_stop(
    stopped: Stopped, request: pytest.FixtureRequest
) -> None:
    node = stopped.ended("short node")

    if signal_of(stopped, request) in ASKED:
        assert outcomes(node) == ["completed"]
        assert node["lost_count"] == 0
    assert outcomes(node).count("completed") == 1


def test_a_long_node_is_handed_back_and_made_again(stopped: Stopped, request: pytest.FixtureRequest) -> None:
    node = stopped.ended("long node")

    asked = signal_of(stopped, request) in ASKED
    assert outcomes(node) == (["released", "completed"] if asked else ["lost", "completed"])
    assert node["lost_count"] == (0 if asked else 1)


def test_an_agent_goes_on_after_its_last_finished_turn(stopped: Stopped) -> None:
    node = stopped.ended("agent turn")

    pids = node["output"]["pids"]
    assert len(pids) == TURNS
    assert [pid == stopped.pid for pid in pids] == [True] + [False] * (TURNS - 1)


def test_an_approval_waits_on_and_can_be_given(stopped: Stopped) -> None:
    run = stopped.runs["waiting approval"]
    approvals = stopped.orchestra.call("GET", "/v1/approvals").json()["items"]
    (approval,) = [one for one in approvals if one["run"] == run]

    answer = stopped.orchestra.call("POST", f"/v1/approvals/{approval['id']}", json={"decision": "approve"})

    assert answer.status_code == 200, answer.text
    assert stopped.ended("waiting approval")["lost_count"] == 0
