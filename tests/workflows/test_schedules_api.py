"""Schedules over HTTP and on the command line."""

import json

import django.db
import pytest
from django.core.management import load_command_class
from django_scopes import scope

from apps.workflows.models import Run, Schedule
from tests.engine.documents import workflow

DAILY = {"name": "daily", "workflow": "report", "cron": "30 6 * * *", "timezone": "Europe/Berlin", "input": {"n": 1}}
REPORT = workflow({"a": {"values": {"n": "{{ inputs.n }}"}}}, name="report") | {
    "inputs": {"type": "object", "properties": {"n": {"type": "integer"}}}
}


@pytest.fixture(autouse=True)
def report(room):
    return room.save(REPORT).workflow


def add(actor, **changes):
    return actor.client.post("/v1/schedules", DAILY | changes, format="json")


@pytest.fixture
def daily(alice):
    answer = add(alice)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_a_schedule_is_added_and_shown_with_its_next_times(alice, daily):
    shown = alice.client.get("/v1/schedules/daily").json()

    assert shown == daily == alice.client.get(daily["url"]).json()
    assert (shown["next_fire_at"], len(shown["next_times"])) == (shown["next_times"][0], 5)
    assert (shown["catch_up"], shown["overlap"], shown["enabled"]) == ("last", "skip", True)
    assert shown["next_fire_at"][11:16] in ("04:30", "05:30")


@pytest.mark.parametrize(
    ("changes", "status", "code", "pointer"),
    [
        ({"cron": "61 * * * *"}, 422, "invalid_cron", "/cron"),
        ({"cron": "0 0 30 2 *"}, 422, "invalid_cron", "/cron"),
        ({"timezone": "Europe/Nowhere"}, 422, "invalid_timezone", "/timezone"),
        ({"input": {"n": "one"}}, 422, "invalid_input", "/input/n"),
        ({"input": [1]}, 400, None, "/input"),
        ({"overlap": "perhaps"}, 400, None, "/overlap"),
        ({"catch_up": "most"}, 400, None, "/catch_up"),
        ({"workflow": "nothing"}, 404, "workflow_not_found", None),
        ({"version": 9}, 404, "version_not_found", None),
        ({"colour": "red"}, 400, None, "/colour"),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else None,
)
def test_what_could_never_run_is_refused_when_it_is_added_or_changed(alice, daily, changes, status, code, pointer):
    answers = [add(alice, **{"name": "other", **changes})]
    if "workflow" not in changes:
        answers.append(alice.client.patch("/v1/schedules/daily", changes, format="json"))

    for answer in answers:
        body = answer.json()
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), body
        assert code in (None, body["code"])
        assert pointer in (None, *(error["pointer"] for error in body.get("errors", ())))
    assert alice.client.get("/v1/schedules/daily").json() == daily


def test_a_name_is_given_once(alice, daily):
    assert (add(alice).status_code, add(alice).json()["code"]) == (409, "name_taken")
    assert add(alice, name="second").status_code == 201
    answer = alice.client.patch("/v1/schedules/second", {"name": "daily"}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_a_new_time_counts_from_now_on(alice, daily):
    changed = alice.client.patch("/v1/schedules/daily", {"cron": "@hourly", "timezone": "UTC"}, format="json").json()

    assert (changed["cron"], changed["timezone"]) == ("@hourly", "UTC")
    assert changed["next_fire_at"] == changed["next_times"][0] != daily["next_fire_at"]
    assert changed["input"] == {"n": 1}


def test_what_is_paused_has_no_next_time_until_it_is_resumed(alice, daily):
    paused = alice.client.post("/v1/schedules/daily/pause").json()
    again = alice.client.post("/v1/schedules/daily/resume").json()

    assert (paused["enabled"], paused["next_fire_at"], paused["next_times"]) == (False, None, [])
    assert (again["enabled"], again["next_fire_at"]) == (True, daily["next_fire_at"])


def test_a_schedule_of_an_archived_workflow_is_not_resumed(alice, daily):
    alice.client.post("/v1/schedules/daily/pause")
    alice.client.delete("/v1/workflows/report")

    answer = alice.client.post("/v1/schedules/daily/resume")

    assert (answer.status_code, answer.json()["code"]) == (409, "workflow_archived")


def test_a_run_that_is_fired_by_hand_is_among_the_fires_and_names_its_schedule(alice, room, daily):
    alice.client.post("/v1/schedules/daily/pause")
    headers = {"Idempotency-Key": "once"}
    first, second = (alice.client.post("/v1/schedules/daily/fire", headers=headers) for _ in range(2))

    assert (first.status_code, first.json()["id"]) == (202, second.json()["id"])
    (fire,) = alice.client.get(daily["fires_url"]).json()["items"]
    assert (fire["outcome"], fire["run"]) == ("started", first.json()["id"])
    assert fire["fired_by"].startswith("key:")
    run = alice.client.get(fire["run_url"]).json()
    assert (run["trigger"], run["schedule"], run["scheduled_for"]) == ("schedule", daily["id"], fire["scheduled_for"])
    (listed,) = alice.client.get("/v1/runs?trigger=schedule").json()["items"]
    assert listed["schedule"] == daily["id"]


def test_a_workflow_that_is_gone_is_not_fired_by_hand(alice, daily):
    alice.client.delete("/v1/workflows/report")

    answer = alice.client.post("/v1/schedules/daily/fire")

    assert (answer.status_code, answer.json()["code"]) == (404, "workflow_not_found")


def test_runs_stay_when_their_schedule_is_deleted(alice, room, daily):
    run = alice.client.post("/v1/schedules/daily/fire").json()

    assert alice.client.delete("/v1/schedules/daily").status_code == 204

    assert alice.client.get("/v1/schedules/daily").status_code == 404
    assert alice.client.get(run["url"]).json()["schedule"] is None


def test_lists_are_paged_and_filtered(alice, room, daily):
    room.schedule(workflow({"a": {}}, name="other"), name="second")
    alice.client.post("/v1/schedules/daily/pause")

    def names(query):
        return [row["name"] for row in alice.client.get(f"/v1/schedules?{query}").json()["items"]]

    assert names("") == ["second", "daily"]
    assert names("sort=name&limit=1") == ["daily"]
    assert (names("enabled=true"), names("enabled=false")) == (["second"], ["daily"])
    assert names("workflow=other") == ["second"]
    assert alice.client.get("/v1/schedules/second/fires?outcome=skipped").json()["items"] == []


# ---- on the command line ------------------------------------------------------------------------------------------


@pytest.fixture
def ask(capsys, monkeypatch):
    """Run a command with --json; gives its exit code and what it prints."""
    monkeypatch.setattr(django.db.connections, "close_all", lambda: None)

    def ask(*arguments):
        code = 0
        try:
            command = load_command_class("apps.workflows", "schedules")
            command.run_from_argv(["manage.py", "schedules", *arguments, "--json"])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, _ = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()]

    return ask


def test_a_schedule_lives_its_life_on_the_command_line(room, ask):
    code, (added,) = ask("add", "daily", "report", "--cron", "@daily", "--input", "n=3", "--overlap", "queue")
    assert (code, added["overlap"], added["input"]) == (0, "queue", {"n": 3})

    paused, resumed = ask("pause", "daily")[1][0], ask("resume", "daily")[1][0]
    (fired,) = ask("fire", "daily")[1]
    listed, fires = ask("list")[1], ask("fires", "daily")[1]

    assert (paused["enabled"], resumed["enabled"]) == (False, True)
    assert json.dumps(listed).count('"daily"') == 1
    assert fired["run"] in json.dumps(fires)
    assert ask("show", "daily")[1] == [resumed]
    assert ask("delete", "daily", "--yes")[0] == 0
    assert ask("show", "daily")[0] == 3
    with scope(organization=room.organization):
        assert (Schedule.objects.count(), Run.objects.count()) == (0, 1)


def test_the_next_times_of_an_expression_are_told(room, ask):
    code, printed = ask("next", "0 0 1 1 *", "--count", "3", "--timezone", "Asia/Bangkok")

    assert (code, json.dumps(printed).count("-12-31T17:00:00")) == (0, 3)
    assert ask("next", "nonsense")[0] == 1
