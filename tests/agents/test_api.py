import time

import pytest

from apps.agents import registry
from apps.agents.context import Context
from apps.agents.sdk import Agent
from apps.common.errors import Fatal, NotFound, Retryable
from tests.fixtures import client_with

REVIEW = {"task_type": "sentiment_analysis", "text": "I love it."}


@pytest.fixture
def agent():
    """Register an agent whose exec is the given function, under a name of its own."""
    made = []

    def make(name, exec_):
        made.append(name)
        return type(name, (Agent,), {"name": name, "exec": exec_, "__module__": __name__, "__qualname__": name})

    yield make
    for name in made:
        registry.unregister(name)


def execute(actor, **body):
    return actor.client.post("/v1/agents/execute", body, format="json")


def test_agents_are_listed_with_their_schemas(alice):
    items = alice.client.get("/v1/agents").json()["items"]

    by_name = {item["name"]: item for item in items}
    assert list(by_name) == sorted(by_name)
    assert by_name["text_processor"]["kind"] == "builtin"
    assert "text" in by_name["text_processor"]["input_schema"]["properties"]
    assert "sentiment_analysis" in by_name["text_processor"]["capabilities"]


def test_agents_are_filtered_by_capability(bob):
    items = bob.client.get("/v1/agents?capability=statistical_analysis").json()["items"]

    assert [item["name"] for item in items] == ["data_analyzer"]


def test_agents_are_paged_by_name(alice):
    first = alice.client.get("/v1/agents?limit=3")
    second = alice.client.get(f"/v1/agents?limit=200&cursor={first.json()['next_cursor']}")

    names = [item["name"] for page in (first, second) for item in page.json()["items"]]
    assert names == [agent_type.name for agent_type in registry.all()]
    assert 'rel="next"' in first["Link"]
    assert second.json()["next_cursor"] is None


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "capabilty=x", "sort=name"])
def test_a_wrong_query_of_the_list_is_malformed(alice, query):
    assert alice.client.get(f"/v1/agents?{query}").status_code == 400


def test_one_agent_is_shown_by_name(alice):
    assert alice.client.get("/v1/agents/echo").json()["name"] == "echo"


def test_an_unknown_agent_is_not_found_and_the_nearest_is_named(alice):
    answer = alice.client.get("/v1/agents/ecco")

    assert answer.status_code == 404
    assert "Did you mean 'echo'?" in answer.json()["detail"]


def test_the_seed_payload_runs(alice):
    seed = {
        "agent_type": "text_processor",
        "input_data": {"task_type": "sentiment_analysis", "text": "Sample text to analyze"},
    }

    answer = execute(alice, **seed)

    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["agent"], body["output"]["sentiment"]) == ("completed", "text_processor", "neutral")
    assert body["error"] is None
    assert body["duration_ms"] > 0
    assert body["cost_usd"] == 0


def test_the_older_address_still_works(alice):
    answer = alice.client.post("/agents/execute", {"agent_type": "echo", "input_data": {"a": 1}}, format="json")

    assert answer.json()["output"] == {"a": 1}


def test_an_agent_is_chosen_by_capability_and_told_which(alice):
    answer = execute(alice, capability="sentiment_analysis", input={"text": "I love it."})

    assert (answer.json()["agent"], answer.json()["output"]["sentiment"]) == ("text_processor", "positive")


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"agent_type": "text_procesor", "input_data": REVIEW}, 422, "/agent_type"),
        ({"capability": "sentiment", "input_data": REVIEW}, 422, "/capability"),
        ({"agent_type": "text_processor", "input_data": {"text": "x"}}, 422, "/input_data/task_type"),
        ({"agent": "text_processor", "input": {"task_type": "summary", "text": "x"}}, 422, "/input/task_type"),
        ({"agent_type": "text_processor"}, 422, "/input_data"),
        ({"agent_type": "echo", "config": {"delay": -1}}, 422, "/config/delay"),
        ({"agent_type": "echo", "timeout": 61}, 400, "/timeout"),
        ({"agent_type": "echo", "inputs": 1}, 400, "/inputs"),
        ({"agent_type": "echo", "agent": "echo"}, 400, None),
        ({"input_data": {}}, 400, None),
        ([], 400, None),
    ],
)
def test_a_request_that_cannot_be_understood_says_where(alice, body, status, pointer):
    answer = alice.client.post("/v1/agents/execute", body, format="json")

    problem = answer.json()
    assert answer.status_code == status, problem
    assert answer.headers["content-type"] == "application/problem+json"
    if pointer:
        assert pointer in [item["pointer"] for item in problem["errors"]], problem


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Fatal("No.", code="refused"), {"code": "refused", "message": "No.", "retryable": False}),
        (
            Retryable("Later.", retry_after=5, code="busy"),
            {"code": "busy", "message": "Later.", "retryable": True, "retry_after": 5},
        ),
        (
            NotFound("There is no tool 'x'.", code="unknown_tool"),
            {"code": "unknown_tool", "message": "There is no tool 'x'.", "retryable": False},
        ),
        (KeyError("who"), {"code": "exception", "message": "KeyError: 'who'", "retryable": True}),
    ],
)
def test_a_failed_task_is_an_answer_with_the_reason(alice, agent, failure, error):
    def fail(self, task, ctx):
        raise failure

    agent("failing", fail)

    answer = execute(alice, agent_type="failing")

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["output"], answer.json()["error"]) == ("failed", None, error)


def test_an_agent_that_takes_too_long_is_stopped(alice):
    answer = execute(alice, agent_type="echo", input_data={"delay": 3600}, timeout=0.3)

    assert answer.json()["error"]["code"] == "timeout"


def test_a_sync_agent_that_takes_too_long_learns_of_it(alice, agent):
    noticed = []

    def spin(self, task, ctx: Context):
        while not ctx.cancelled:
            time.sleep(0.01)
        noticed.append(True)

    agent("spinning", spin)

    answer = execute(alice, agent_type="spinning", timeout=0.2)

    assert answer.json()["error"]["code"] == "timeout"
    wait_for(lambda: noticed)


def test_a_repeated_request_is_answered_from_the_first(alice, agent):
    calls = []

    def count(self, task, ctx):
        calls.append(task)
        return {"number": len(calls)}

    agent("counting", count)
    body = {"agent_type": "counting", "input_data": {"a": 1}}

    answers = [
        alice.client.post("/v1/agents/execute", body, format="json", headers={"Idempotency-Key": "one"})
        for _ in range(3)
    ]

    assert [answer.json()["output"]["number"] for answer in answers] == [1, 1, 1]
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert len(calls) == 1


def test_running_needs_the_right_to_run(alice, bob, expired):
    assert execute(bob, agent_type="echo").status_code == 403
    assert expired.post("/v1/agents/execute", {"agent_type": "echo"}, format="json").status_code == 401
    assert client_with(None).get("/v1/agents").status_code == 401
    assert bob.client.get("/v1/agents/echo").status_code == 200


def test_an_agent_works_for_the_caller_s_organization(charlie, agent):
    def whose(self, task, ctx):
        return str(ctx.organization_id)

    agent("whose", whose)

    assert execute(charlie, agent_type="whose").json()["output"] == str(charlie.organization.pk)


@pytest.mark.parametrize(
    "body", ['{"agent_type": "echo", "input_data": ' + "[" * 200 + "]" * 200 + "}", '{"a"', "\x00"]
)
def test_hostile_bodies_are_refused(alice, body):
    answer = alice.client.post("/v1/agents/execute", body, content_type="application/json")

    assert answer.status_code in {400, 422}


def wait_for(condition):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)
