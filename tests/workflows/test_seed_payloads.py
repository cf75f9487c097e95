"""Every seed payload through the API, as it is, with its documented result."""

import json
from pathlib import Path

import pytest

from apps.workflows.models import NodeRun
from tests.workflows.test_runs_api import _work_in_background as work_in_background

SEEDS = Path(__file__).parents[1] / "seed_payloads"
POSITIVE = (
    "I love this wonderful product. It works great and the support was friendly and fast. Everybody should try it."
)
NEGATIVE = "This is terrible. The product broke on the first day, the support was rude and I hate everything about it."
RECORDS = [{"name": "a", "amount": 10}, {"name": "b", "amount": 20}, {"name": "c", "amount": 30}]
WORKFLOWS = [
    "steps_content_analysis",
    "steps_data_processing",
    "onboarding",
    "tasks_sequential",
    "tasks_parallel",
    "tasks_graph",
]


def seed(name):
    return json.loads((SEEDS / f"{name}.json").read_bytes())


def finish(room, alice, name, given=None):
    """Runs a seed inline and gives the run as the API shows it."""
    answer = alice.client.post("/v1/runs", {"definition": seed(name), "input": given or {}}, format="json")
    assert answer.status_code == 202, answer.content
    room.until_ended(answer.json()["id"])
    return alice.client.get(answer.json()["url"]).json()


def statuses(run):
    return {node["node"]: node["status"] for node in run["nodes"]}


def output_of(run, name):
    return next(node["output"] for node in run["nodes"] if node["node"] == name)


def test_every_seed_is_here():
    kinds = {"execute_agent", "goal_research", "goal_simple", "register_agent", *WORKFLOWS}
    assert {path.stem for path in SEEDS.iterdir()} == kinds


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_seed_is_saved_validated_and_exported(alice, name):
    assert alice.client.post("/v1/workflows/validate", seed(name), format="json").json()["valid"] is True
    saved = alice.client.post("/v1/workflows", seed(name) | {"name": name}, format="json")
    assert saved.status_code == 201
    exported = alice.client.get(f"/v1/workflows/{name}/export")
    again = alice.client.generic("POST", "/v1/workflows", exported.content, content_type="application/yaml")
    assert (again.status_code, again.json()["version"]) == (200, 1)


def test_a_good_mood_is_summarised(room, alice):
    run = finish(room, alice, "steps_content_analysis", {"input_text": POSITIVE})

    assert (run["status"], statuses(run)) == (
        "completed",
        {"sentiment_analysis": "completed", "text_summary": "completed"},
    )
    assert run["context"]["content_sentiment"] == "positive"
    assert run["context"]["content_summary"]


def test_a_bad_mood_is_not(room, alice):
    run = finish(room, alice, "steps_content_analysis", {"input_text": NEGATIVE})

    assert (run["status"], statuses(run)) == (
        "completed",
        {"sentiment_analysis": "completed", "text_summary": "skipped"},
    )
    assert run["context"] == {"content_sentiment": "negative"}


def test_data_is_validated_and_described(room, alice):
    run = finish(room, alice, "steps_data_processing", {"raw_data": RECORDS})

    assert (run["status"], set(statuses(run).values())) == ("completed", {"completed"})
    assert len(run["context"]["validated_data"]) == 3
    assert "20" in json.dumps(run["context"]["analysis_results"])


@pytest.mark.parametrize(
    ("user_type", "way", "other"),
    [
        ("premium", "step_escalate", "step_standard_process"),
        ("standard", "step_standard_process", "step_escalate"),
    ],
)
def test_onboarding_takes_each_of_its_ways(room, alice, user_type, way, other):
    run = finish(room, alice, "onboarding", {"user_type": user_type, "name": "Ana", "email": "ana@example.com"})

    assert (run["status"], statuses(run)[way], statuses(run)[other]) == ("completed", "completed", "skipped")
    assert output_of(run, "step_end")["support_level"] == user_type
    (letter,) = alice.client.get("/v1/outbox").json()["items"]
    assert (letter["to"], user_type in letter["body"]) == ("ana@example.com", True)


def test_sequential_tasks_hand_their_output_on(room, alice):
    run = finish(room, alice, "tasks_sequential")

    first, second = sorted(run["nodes"], key=lambda node: node["started_at"])
    assert (run["status"], first["finished_at"] <= second["started_at"]) == ("completed", True)
    assert json.dumps(first["output"])[1:40] in json.dumps(second["input"])


def test_parallel_tasks_may_all_run_at_once(room, alice):
    answer = alice.client.post("/v1/runs", {"definition": seed("tasks_parallel")}, format="json")
    run = answer.json()["id"]

    claims = [room.claim(run, node.node) for node in room.nodes(run)]

    assert len(claims) == 3
    for claim in claims:
        room.bring(claim, room.execute(claim))
    assert room.status(run) == "completed"


def test_the_graph_waits_for_both(room, alice):
    run = finish(room, alice, "tasks_graph")

    times = {node["node"]: (node["started_at"], node["finished_at"]) for node in run["nodes"]}
    names = list(times)
    begun = {name: times[name][0] for name in names}
    third, fourth = sorted(names, key=begun.__getitem__)[2:]
    assert run["status"] == "completed"
    assert all(times[name][1] <= times[third][0] for name in names if name not in (third, fourth))
    assert times[third][1] <= times[fourth][0]


@pytest.mark.parametrize("name", ["goal_simple", "goal_research"])
def test_a_goal_is_planned_and_run(room, alice, name):
    helper = work_in_background(room)

    answer = alice.client.post("/v1/tasks?wait=30", seed(name), format="json")
    helper()

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


def test_a_single_agent_is_executed(alice):
    answer = alice.client.post("/v1/agents/execute", seed("execute_agent"), format="json")

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert "sentiment" in answer.json()["output"]


def test_no_node_of_a_seed_was_tried_twice(room, alice, in_scope):
    for name in WORKFLOWS[3:]:
        finish(room, alice, name)

    assert set(NodeRun.objects.values_list("attempt", flat=True)) == {1}
