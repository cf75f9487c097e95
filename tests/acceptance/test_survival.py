"""What dies in the middle of a run, and the run that completes all the same."""

import itertools
from collections import Counter
from typing import Any

from tests.acceptance.orchestra_process import RunningOrchestra, Start, wait_until

LENGTH = 20
NODE_SECONDS = 0.25


def chain() -> dict[str, Any]:
    """A chain of nodes, each of which takes a moment."""
    names = [f"n{number:02}" for number in range(LENGTH)]
    node = {"type": "agent", "agent": "echo", "input": {"delay": NODE_SECONDS}}
    edges = [{"from": before, "to": after} for before, after in itertools.pairwise(names)]
    return {"name": "chain", "nodes": dict.fromkeys(names, node), "edges": edges}


def start_run(orchestra: RunningOrchestra) -> str:
    """Start the chain and return when a third of it is done."""
    answer = orchestra.call("POST", "/v1/runs", json={"definition": chain()})
    assert answer.status_code == 202, answer.text
    run = str(answer.json()["id"])
    wait_until(lambda: completed_nodes(orchestra, run) >= LENGTH // 3)
    return run


def completed_nodes(orchestra: RunningOrchestra, run: str) -> int:
    nodes = orchestra.call("GET", f"/v1/runs/{run}").json()["nodes"]
    return sum(node["status"] == "completed" for node in nodes)


def ended_run(orchestra: RunningOrchestra, run: str) -> dict[str, Any]:
    """Wait for the run's end, which nobody helps to come."""

    def show() -> dict[str, Any]:
        return dict(orchestra.call("GET", f"/v1/runs/{run}").json())

    wait_until(lambda: show()["status"] not in {"pending", "running", "waiting"}, explain=lambda: orchestra.output)
    return show()


def assert_complete(run: dict[str, Any]) -> None:
    """Every node has exactly one accepted completion, and the interrupted one says what happened to it."""
    outcomes = [Counter(attempt["outcome"] for attempt in node["attempts"]) for node in run["nodes"]]
    assert run["status"] == "completed"
    assert len(run["nodes"]) == LENGTH
    assert [count["completed"] for count in outcomes] == [1] * LENGTH
    assert sum(count["lost"] for count in outcomes) == 1
    assert [node["lost_count"] for node in run["nodes"] if node["lost_count"]] == [1]


def test_a_run_survives_the_death_of_its_worker(orchestra: RunningOrchestra) -> None:
    run = start_run(orchestra)

    orchestra.children()["worker1"].kill()

    assert_complete(ended_run(orchestra, run))


def test_a_run_survives_the_death_of_everything(orchestra: RunningOrchestra, start: Start) -> None:
    run = start_run(orchestra)
    orchestra.kill_everything()

    again = start().wait_ready()

    assert_complete(ended_run(again, run))


def test_a_run_survives_the_end_of_the_terminal(start: Start, newest: RunningOrchestra) -> None:
    run = start_run(newest)
    newest.interrupt()

    again = start().wait_ready()

    ended = ended_run(again, run)
    assert ended["status"] == "completed"
    assert len(ended["nodes"]) == LENGTH
