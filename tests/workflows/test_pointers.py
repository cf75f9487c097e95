"""Where a definition's errors point: into the request that was sent."""

from tests.fixtures import Actor

BROKEN = {"name": "broken", "nodes": {"a": {"type": "agent", "agent": "ehco"}}}


def test_an_inline_definition_is_found_under_its_field(alice: Actor) -> None:
    answer = alice.client.post("/v1/runs", {"definition": BROKEN}, format="json")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/definition/nodes/a/agent"


def test_a_definition_that_is_the_request_is_found_at_its_top(alice: Actor) -> None:
    answer = alice.client.post("/v1/workflows", BROKEN, format="json")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/nodes/a/agent"


def test_the_definition_of_a_fork_is_found_under_its_field(alice: Actor) -> None:
    whole = {"name": "whole", "nodes": {"a": {"type": "set"}}}
    run = alice.client.post("/v1/runs", {"definition": whole}, format="json").json()["id"]

    answer = alice.client.post(f"/v1/runs/{run}/fork", {"from_node": "a", "definition": BROKEN}, format="json")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/definition/nodes/a/agent"
