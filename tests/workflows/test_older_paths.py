import json

import pytest

from apps.accounts.models import Role
from orchestra.settings import BASE_DIR
from tests.fixtures import make_actor
from tests.workflows.engine_room import EngineRoom

SEEDS = BASE_DIR / "tests" / "seed_payloads"
TEXT = "I love this wonderful product. It is great and makes me happy every day. The support was excellent."


def seed(name):
    return json.loads((SEEDS / f"{name}.json").read_text())


@pytest.fixture
def room(organization):
    return EngineRoom(organization)


@pytest.fixture
def operator(organization):
    return make_actor("olga", organization, Role.OPERATOR)


@pytest.fixture
def post(alice):
    return lambda path, body: alice.client.post(path, body, format="json")


@pytest.fixture
def get(alice):
    return lambda path: alice.client.get(path).data


@pytest.mark.parametrize("address", ["/workflows/", "/workflows"])
def test_steps_are_saved_executed_and_monitored(post, get, room, address):
    saved = post(address, seed("steps_content_analysis"))
    executed = post(f"/workflows/{saved.data['workflow_id']}/execute", {"input_data": {"input_text": TEXT}})
    room.until_ended(executed.data["execution_id"])

    status = get(f"/executions/{executed.data['execution_id']}/status")

    assert (saved.status_code, executed.status_code) == (201, 202)
    assert executed.data["workflow_id"] == saved.data["workflow_id"]
    assert status["status"] == "completed"
    assert status["context"]["content_sentiment"] == "positive"
    assert [(step["name"], step["status"]) for step in status["steps"]] == [
        ("sentiment_analysis", "completed"),
        ("text_summary", "completed"),
    ]


def test_the_logs_of_an_execution_tell_what_happened(post, get, room):
    post("/workflows/", seed("steps_data_processing"))
    executed = post("/workflows/Data Processing Workflow/execute", {"input_data": {"raw_data": "a,b\n1,2\n3,4"}})
    room.until_ended(executed.data["execution_id"])

    logs = get(executed.data["logs_url"])["logs"]

    assert [line["message"] for line in logs if line["step"] == "data_validation"][:2] == ["started", "completed"]
    assert logs[-1]["message"] == "The run completed"
    assert logs == sorted(logs, key=lambda line: line["timestamp"])


def test_a_graph_answers_in_its_documented_shape(post):
    answer = post("/run-graph", seed("tasks_graph"))

    assert answer.status_code == 202
    assert {"workflow_id", "workflow_type", "status", "created_at", "tasks", "metadata"} <= answer.data.keys()
    assert (answer.data["workflow_type"], answer.data["status"], answer.data["metadata"]) == ("graph", "pending", {})
    assert answer.data["tasks"][2]["depends_on"] == ["1", "2"]
    assert answer.data["tasks"][2]["status"] == "pending"


@pytest.mark.parametrize("kind", ["sequential", "parallel", "graph"])
def test_the_status_of_a_graph_names_each_task_with_its_result(post, get, room, kind):
    sent = seed(f"tasks_{kind}")
    started = post("/run-graph", sent).data
    room.until_ended(started["workflow_id"])

    status = get(f"/status/{started['workflow_id']}")

    assert (status["status"], status["workflow_type"]) == ("completed", kind)
    assert [task["agent_id"] for task in status["tasks"]] == [task["agent_id"] for task in sent["tasks"]]
    assert {task["status"] for task in status["tasks"]} == {"completed"}
    assert all(task["task_id"] and task["result"]["summary"] for task in status["tasks"])


def test_workflows_by_status_are_runs(post, get, room):
    started = post("/run-graph", seed("tasks_sequential")).data["workflow_id"]
    room.until_ended(started)

    listed = get("/workflows?status=completed&limit=10")["workflows"]

    assert [(one["workflow_id"], one["workflow_type"]) for one in listed] == [(started, "sequential")]
    assert get("/workflows?status=failed")["workflows"] == []


def test_workflows_without_a_status_are_saved_ones(post, get):
    saved = post("/workflows/", seed("steps_data_processing")).data

    assert [one["workflow_id"] for one in get("/workflows")["workflows"]] == [saved["workflow_id"]]


def test_an_unknown_status_names_the_known_ones(alice):
    answer = alice.client.get("/workflows?status=done")

    assert answer.status_code == 400
    assert "completed" in answer.data["detail"]


def test_deleting_a_run_cancels_it(alice, post, get):
    started = post("/run-graph", seed("tasks_sequential")).data["workflow_id"]

    deleted = alice.client.delete(f"/workflows/{started}")

    assert deleted.data == {"workflow_id": started, "status": "cancelled"}
    assert get(f"/status/{started}")["status"] == "cancelled"


def test_deleting_a_run_that_has_ended_keeps_its_history(alice, post, get, room):
    started = post("/run-graph", seed("tasks_sequential")).data["workflow_id"]
    room.until_ended(started)

    assert alice.client.delete(f"/workflows/{started}").data["status"] == "completed"
    assert get(f"/status/{started}")["status"] == "completed"


def test_deleting_a_workflow_archives_it(alice, post, get):
    saved = post("/workflows/", seed("steps_data_processing")).data["workflow_id"]

    assert alice.client.delete(f"/workflows/{saved}").data["status"] == "archived"
    assert get("/workflows")["workflows"] == []


def test_an_operator_may_end_a_run_but_archive_no_workflow(post, alice, operator):
    saved = post("/workflows/", seed("steps_data_processing")).data["workflow_id"]
    started = post("/run-graph", seed("tasks_sequential")).data["workflow_id"]

    assert operator.client.delete(f"/workflows/{started}").status_code == 200
    assert operator.client.delete(f"/workflows/{saved}").status_code == 403


def test_a_goal_is_a_task_at_its_older_address(post, get, room):
    task = post("/api/v1/tasks", seed("goal_research"))
    room.until_ended(task.data["task_id"])

    status = get(f"/api/v1/tasks/{task.data['task_id']}/status")

    assert (status["task_id"], status["status"]) == (task.data["task_id"], "completed")
    assert get(f"/api/v1/tasks/{task.data['task_id']}")["output"]["findings"]


def test_the_state_machine_is_saved_and_executed_too(post, get, room):
    saved = post("/workflows/", seed("onboarding")).data
    executed = post(f"/workflows/{saved['workflow_id']}/execute", {"input_data": {"user_type": "standard"}}).data
    room.until_ended(executed["execution_id"])

    steps = {step["name"]: step["status"] for step in get(executed["status_url"])["steps"]}

    assert (steps["step_standard_process"], steps["step_escalate"]) == ("completed", "skipped")


def test_mistakes_point_to_their_place(post):
    answer = post("/run-graph", {"workflow_type": "graph", "tasks": [{"agent_id": "1", "agent_role": "nobody"}]})

    assert answer.status_code == 422
    assert answer.data["errors"][0]["pointer"] == "/tasks/0/agent_role"


@pytest.mark.parametrize("address", ["/status/{}", "/executions/{}/status", "/executions/{}/logs", "/workflows/{}"])
def test_a_run_is_seen_by_its_organization_only(guard, post, address):
    started = post("/run-graph", seed("tasks_sequential")).data["workflow_id"]

    guard("get", address.format(started))


def test_a_run_is_ended_by_its_organization_only(guard, post):
    started = post("/run-graph", seed("tasks_sequential")).data["workflow_id"]

    guard("delete", f"/workflows/{started}", needs="run")


def test_a_workflow_is_executed_by_its_organization_only(guard, post):
    saved = post("/workflows/", seed("steps_data_processing")).data["workflow_id"]

    guard("post", f"/workflows/{saved}/execute", {"input_data": {"raw_data": "a\n1"}}, needs="run")
