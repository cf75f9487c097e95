import json

import pytest
from django_scopes import scope

from apps.workflows.models import Run
from orchestra.settings import BASE_DIR
from tests.workflows.engine_room import EngineRoom

SEEDS = BASE_DIR / "tests" / "seed_payloads"


def seed(name):
    return json.loads((SEEDS / f"{name}.json").read_text())


@pytest.fixture
def room(organization):
    return EngineRoom(organization)


@pytest.fixture
def give(alice):
    """Give Alice's goal to the platform."""

    def give(goal, **headers):
        return alice.client.post("/v1/tasks", goal, format="json", headers=headers)

    return give


def test_a_goal_is_planned_and_run_in_one_call(alice, room, give):
    accepted = give(seed("goal_simple"))
    room.until_ended(accepted.data["id"])

    task = alice.client.get(accepted.data["url"]).data

    assert accepted.status_code == 202
    assert task["status"] == "completed"
    assert task["goal"] == seed("goal_simple")
    assert task["output"] == {"answer": {"message": "Hello, World!"}}


def test_a_task_shows_the_plan_it_runs(alice, room, give):
    accepted = give(seed("goal_research"))

    assert {"background", "analysis", "summary"} <= accepted.data["plan"]["nodes"].keys()
    assert alice.client.get(accepted.data["run_url"]).data["trigger"] == "task"


def test_the_status_says_how_much_is_done(alice, room, give):
    task = give(seed("goal_research")).data["id"]
    before = alice.client.get(f"/v1/tasks/{task}/status").data

    room.until_ended(task)
    after = alice.client.get(f"/v1/tasks/{task}/status").data

    assert (before["status"], before["progress"]) == ("pending", {"done": 0, "total": 5})
    assert (after["status"], after["progress"]) == ("completed", {"done": 5, "total": 5})


@pytest.mark.django_db(transaction=True)
def test_waiting_holds_the_answer_for_a_while(alice):
    answer = alice.client.post("/v1/tasks?wait=0.2", seed("goal_simple"), format="json")

    assert answer.status_code == 202  # nobody works here
    assert answer.data["goal"] == seed("goal_simple")


def test_a_key_starts_one_task(give, organization):
    first = give(seed("goal_simple"), **{"Idempotency-Key": "k1"})
    second = give(seed("goal_simple"), **{"Idempotency-Key": "k1"})

    assert first.data == second.data
    assert second["Idempotent-Replayed"] == "true"
    with scope(organization=organization):
        assert Run.objects.count() == 1


def test_a_goal_of_an_unknown_type_names_the_nearest(give):
    answer = give({"type": "research_and_analyse", "query": "x"})

    assert answer.status_code == 422
    assert "research_and_analyze" in answer.data["errors"][0]["fix"]


def test_a_goal_that_lacks_something_says_what(give):
    answer = give({"type": "research_and_analyze", "input": {}})

    assert answer.status_code == 422
    assert answer.data["errors"][0]["pointer"] == "/query"


def test_a_definition_is_no_goal(give):
    answer = give({"name": "x", "nodes": {"a": {"type": "agent", "agent": "echo"}}})

    assert (answer.status_code, answer.data["code"]) == (422, "not_a_goal")


def test_a_run_takes_a_goal_as_its_definition(alice, room):
    accepted = alice.client.post("/v1/runs", {"definition": seed("goal_simple")}, format="json")

    assert room.output(room.until_ended(accepted.data["id"])) == {"answer": {"message": "Hello, World!"}}


def test_tasks_are_listed_and_runs_are_no_tasks(alice, give):
    task = give(seed("goal_simple")).data["id"]
    alice.client.post("/v1/runs", {"definition": seed("goal_simple")}, format="json")

    assert [item["id"] for item in alice.client.get("/v1/tasks").data["items"]] == [task]
    assert alice.client.get("/v1/tasks?status=completed").data["items"] == []


@pytest.mark.parametrize("ending", ["", "/status"])
def test_a_task_is_seen_by_its_organization_only(guard, give, ending):
    task = give(seed("goal_simple")).data["id"]

    guard("get", f"/v1/tasks/{task}{ending}")


def test_a_viewer_gives_no_tasks(bob):
    assert bob.client.post("/v1/tasks", seed("goal_simple"), format="json").status_code == 403
