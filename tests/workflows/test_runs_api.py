"""Starting runs over HTTP, and reading them."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from apps.common.database import release_connection
from apps.workflows.models import Run
from tests.engine.documents import workflow
from tests.fixtures import client_with
from tests.workflows.probes import probe

ONE = workflow(
    {"a": {"values": {"v": "{{ inputs.n }}"}}},
    name="one",
    inputs={"type": "object", "properties": {"n": {"type": "integer", "default": 7}}},
)


def run_inline(actor, definition=ONE, **body):
    return actor.client.post("/v1/runs", {"definition": definition, **body}, format="json")


def test_an_inline_definition_is_run(room, alice):
    answer = run_inline(alice, input={"n": 5})

    body = answer.json()
    assert (answer.status_code, body["status"], body["url"]) == (202, "pending", f"/v1/runs/{body['id']}")
    assert body["events_url"] == f"/v1/runs/{body['id']}/events"
    room.until_ended(body["id"])
    shown = alice.client.get(body["url"]).json()
    assert (shown["status"], shown["input"], shown["output"]) == ("completed", {"n": 5}, {"a": {"v": 5}})


def test_defaults_of_the_schema_are_filled_in(room, alice):
    body = run_inline(alice).json()

    assert room.output(room.until_ended(body["id"])) == {"a": {"v": 7}}


@pytest.mark.parametrize(
    ("given", "pointer"), [({"n": "x"}, "/input/n"), ([1], "/input"), ("x", "/input"), (None, "/input")]
)
def test_an_input_that_does_not_fit_is_refused_with_its_place(alice, given, pointer):
    answer = run_inline(alice, input=given)

    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert not Run.objects.model._base_manager.exists()


def test_a_saved_workflow_is_run_in_the_wanted_version(room, alice):
    alice.client.post("/v1/workflows", ONE, format="json")
    alice.client.post(
        "/v1/workflows", ONE | {"nodes": {"a": {"type": "set", "values": {"v": "second"}}}}, format="json"
    )

    newest = alice.client.post("/v1/workflows/one/run", {}, format="json").json()
    first = alice.client.post("/v1/workflows/one/run", {"version": 1, "input": {"n": 1}}, format="json").json()

    assert room.output(room.until_ended(newest["id"])) == {"a": {"v": "second"}}
    assert room.output(room.until_ended(first["id"])) == {"a": {"v": 1}}
    shown = alice.client.get(first["url"]).json()
    assert (shown["workflow"], shown["version"]) == ("one", 1)


@pytest.mark.parametrize(
    "body",
    [
        {"version": 9}, {"version": 0}, {"version": "x"}, {"priority": 101}, {"priority": "high"}, {"labels": [1]},
        {"labels": {"a": {"b": 1}}}, {"labels": {"a": "x" * 300}}, {"unknown": 1}, {"input": 5},
    ],
)  # fmt: skip
def test_an_order_that_means_nothing_is_refused(alice, body):
    alice.client.post("/v1/workflows", ONE, format="json")

    answer = alice.client.post("/v1/workflows/one/run", body, format="json")

    assert answer.status_code in (400, 404, 422)
    assert answer["Content-Type"] == "application/problem+json"


def test_a_run_is_waited_for(room, alice):
    helper = _work_in_background(room)
    began = time.monotonic()

    answer = alice.client.post("/v1/runs?wait=60", {"definition": ONE}, format="json")
    helper()

    assert (answer.status_code, answer.json()["status"], answer.json()["output"]) == (200, "completed", {"a": {"v": 7}})
    assert time.monotonic() - began < 60  # as soon as it has ended, and not when the seconds are over


def test_waiting_ends_when_the_seconds_are_over(room, alice):
    answer = alice.client.post(
        "/v1/runs?wait=1", {"definition": workflow({"w": {"type": "wait", "event": "e"}})}, format="json"
    )

    assert (answer.status_code, answer.json()["status"]) == (202, "pending")


def test_a_failed_run_is_an_answer_too(room, alice):
    helper = _work_in_background(room)

    answer = alice.client.post(
        "/v1/runs?wait=30", {"definition": workflow({"a": {"type": "fail", "message": "no"}})}, format="json"
    )
    helper()

    assert (answer.status_code, answer.json()["status"], answer.json()["error"]["message"]) == (200, "failed", "no")


@pytest.mark.parametrize("wait", ["-1", "61", "x", ""])
def test_a_wait_that_means_nothing_is_refused(alice, wait):
    assert alice.client.post(f"/v1/runs?wait={wait}", {"definition": ONE}, format="json").status_code == 400


def test_fifty_orders_with_one_key_start_one_run(room, alice):
    together = threading.Barrier(50)

    def order(_):
        client = client_with(alice.secret)
        release_connection()
        together.wait()
        try:
            return client.post("/v1/runs", {"definition": ONE}, format="json", headers={"Idempotency-Key": "k"})
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(order, range(50)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert Run.objects.model._base_manager.count() == 1


def test_a_key_for_another_body_is_refused(room, alice):
    headers = {"Idempotency-Key": "k"}
    alice.client.post("/v1/runs", {"definition": ONE}, format="json", headers=headers)

    answer = alice.client.post("/v1/runs", {"definition": ONE, "input": {"n": 1}}, format="json", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_replayed_order_can_be_waited_for(room, alice):
    headers = {"Idempotency-Key": "k"}
    first = alice.client.post("/v1/runs", {"definition": ONE}, format="json", headers=headers).json()
    room.until_ended(first["id"])

    answer = alice.client.post("/v1/runs?wait=5", {"definition": ONE}, format="json", headers=headers)

    assert (answer.status_code, answer["Idempotent-Replayed"]) == (200, "true")
    assert (answer.json()["id"], answer.json()["status"]) == (first["id"], "completed")


# ---- reading --------------------------------------------------------------------------------------


def test_a_run_tells_everything(room, alice, calls):
    calls.fails("b", ValueError("once"))
    nodes = {
        "a": {"values": {"v": 1}, "save": {"k": "{{ output.v }}"}},
        "b": probe("b", input={"x": 1}, retry={"attempts": 2, "delay": 1}),
        "c": {},
    }
    run = room.finish(workflow(nodes, ["a b", {"from": "b", "to": "c", "when": "false"}]), {"n": 1})

    shown = alice.client.get(f"/v1/runs/{run.pk}").json()

    assert (shown["status"], shown["trigger"], shown["context"]) == ("completed", "api", {"k": 1})
    assert (shown["version"], shown["forked_from"], shown["parent"]) == (None, None, None)
    a, b, c = sorted(shown["nodes"], key=lambda node: node["node"])
    assert (a["status"], a["output"], a["attempts"]) == ("completed", {"v": 1}, [])
    assert (b["input"], b["output"], b["attempt"], b["visit"], b["index"]) == ({"x": 1}, {"x": 1}, 2, 1, None)
    assert [attempt["outcome"] for attempt in b["attempts"]] == ["failed", "completed"]
    assert "once" in b["attempts"][0]["error"]["message"]
    assert all(attempt["started_at"] and attempt["ended_at"] for attempt in b["attempts"])
    assert (c["status"], c["visit"]) == ("skipped", 0)
    assert shown["duration_ms"] is not None


def test_a_run_is_found_by_the_end_of_its_id(room, alice):
    run = room.finish(workflow({"a": {}}))

    assert alice.client.get(f"/v1/runs/{str(run.pk)[-8:]}").json()["id"] == str(run.pk)


def test_only_the_wanted_fields_are_shown(room, alice):
    run = room.finish(workflow({"a": {}}))

    assert set(alice.client.get(f"/v1/runs/{run.pk}?fields=id&fields=status").json()) == {"id", "status"}
    assert alice.client.get(f"/v1/runs/{run.pk}?fields=nope").status_code == 400


def test_runs_are_filtered(room, alice):
    room.save(workflow({"a": {}}, name="known"))
    first = room.start(workflow({"a": {}}), labels={"team": "red", "x": "1"})
    second = room.start(workflow({"a": {"type": "fail"}}), labels={"team": "blue"})
    room.work()
    third = alice.client.post("/v1/workflows/known/run", {}, format="json").json()["id"]
    room.work()

    def ids(query):
        return {item["id"] for item in alice.client.get(f"/v1/runs?{query}").json()["items"]}

    assert ids("status=failed") == {str(second)}
    assert ids("status=completed&status=failed") == {str(first), str(second), third}
    assert ids("workflow=known") == {third}
    assert ids("label=team:red") == {str(first)}
    assert ids("label=team:red&label=x:1") == {str(first)}
    assert ids("label=team:red&label=x:2") == set()
    assert ids("trigger=fork") == set()
    moment = alice.client.get(f"/v1/runs/{second}").json()["created_at"]
    assert ids(f"created_after={moment}") == {third}
    assert ids(f"created_before={moment}") == {str(first)}


@pytest.mark.parametrize(
    "query", ["status=done", "created_after=yesterday", "nope=1", "limit=1000", "cursor=%00", "workflow=%00"]
)
def test_a_filter_that_means_nothing_is_400(alice, query):
    answer = alice.client.get(f"/v1/runs?{query}")

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def test_pages_are_stable_while_runs_are_added(room, alice):
    for _ in range(5):
        room.start(workflow({"a": {}}))
    expected = [item["id"] for item in alice.client.get("/v1/runs").json()["items"]]

    seen, url = [], "/v1/runs?limit=2"
    while url:
        page = alice.client.get(url)
        seen += [item["id"] for item in page.json()["items"]]
        room.start(workflow({"a": {}}))
        cursor = page.json()["next_cursor"]
        url = cursor and f"/v1/runs?limit=2&cursor={cursor}"
        assert ("Link" in page) == (cursor is not None)

    assert seen == expected


def test_nodes_are_paged(room, alice):
    run = room.finish(workflow({"m": {"type": "map", "over": list(range(7)), "node": {"type": "set"}}}))

    first = alice.client.get(f"/v1/runs/{run.pk}/nodes?limit=5").json()
    rest = alice.client.get(f"/v1/runs/{run.pk}/nodes?limit=5&cursor={first['next_cursor']}").json()

    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (5, 3, None)
    assert len({item["id"] for item in first["items"] + rest["items"]}) == 8
    only = alice.client.get(f"/v1/runs/{run.pk}/nodes?node=nobody").json()
    assert only["items"] == []


def test_events_are_listed_in_order_and_paged(room, alice):
    run = room.finish(workflow({"a": {}, "b": {}}, ["a b"]))

    first = alice.client.get(f"/v1/runs/{run.pk}/events?limit=3").json()
    rest = alice.client.get(f"/v1/runs/{run.pk}/events?after={first['next_cursor']}").json()

    numbers = [item["seq"] for item in first["items"] + rest["items"]]
    assert numbers == list(range(1, run.last_seq + 1))
    assert (first["items"][0]["type"], rest["items"][-1]["type"]) == ("node.queued", "run.completed")


def test_the_log_is_searched(room, alice, calls):
    calls["a"] = lambda task, ctx: (ctx.log.info("Found the page", size=3), ctx.log.warning("Slow"), None)[2]
    run = room.finish(workflow({"a": probe("a")}))

    def lines(query=""):
        return [item["message"] for item in alice.client.get(f"/v1/runs/{run.pk}/logs?{query}").json()["items"]]

    assert lines() == ["Found the page", "Slow"]
    assert lines("search=PAGE") == ["Found the page"]
    assert lines("level=warning") == ["Slow"]
    assert lines("node=b") == []
    assert alice.client.get(f"/v1/runs/{run.pk}/logs?level=loud").status_code == 400


def test_a_trace_has_a_span_for_run_node_attempt_and_call(room, alice, calls):
    calls["a"] = lambda task, ctx: ctx.call_tool("outbox.send", {"to": "a@example.com", "subject": "s", "body": "b"})
    run = room.finish(workflow({"a": probe("a")}))

    spans = alice.client.get(f"/v1/runs/{run.pk}/trace").json()["spans"]

    assert [span["name"] for span in spans] == ["run test", "node a", "attempt 1", "execute_tool outbox.send"]
    by_id = {span["span_id"]: span for span in spans}
    assert [by_id.get(span["parent_span_id"], {}).get("name") for span in spans] == [
        None,
        "run test",
        "node a",
        "attempt 1",
    ]


# ---- acting ---------------------------------------------------------------------------------------


def test_a_run_is_paused_resumed_and_cancelled(room, alice):
    run = room.start(workflow({"a": {}}))

    for act, status in (("pause", "paused"), ("resume", "pending"), ("cancel", "cancelled"), ("cancel", "cancelled")):
        answer = alice.client.post(f"/v1/runs/{run}/{act}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)


@pytest.mark.parametrize("act", ["pause", "resume", "cancel", "retry"])
def test_an_act_that_the_status_does_not_allow_is_409_and_names_the_status(room, alice, act):
    run = room.finish(workflow({"a": {}}))

    answer = alice.client.post(f"/v1/runs/{run.pk}/{act}")

    assert (answer.status_code, answer.json()["code"], answer.json()["run_status"]) == (
        409,
        "wrong_status",
        "completed",
    )


def test_a_second_decision_is_409_and_names_the_first(room, alice):
    run = room.start(workflow({"q": {"type": "approval", "message": "?"}}))
    room.work()
    (question,) = alice.client.get("/v1/approvals").json()["items"]
    assert (question["run"], question["node"], question["status"]) == (str(run), "q", "open")
    path = f"/v1/approvals/{question['id']}"

    first = alice.client.post(path, {"decision": "approve", "comment": "fine"}, format="json")
    second = alice.client.post(path, {"decision": "reject"}, format="json")

    assert (first.status_code, first.json()["status"], first.json()["comment"]) == (200, "approved", "fine")
    assert (second.status_code, second.json()["code"]) == (409, "already_decided")
    assert first.json()["decided_by"] in second.json()["detail"]
    assert alice.client.get("/v1/approvals").json()["items"] == []
    assert [one["id"] for one in alice.client.get("/v1/approvals?status=approved").json()["items"]] == [question["id"]]


@pytest.mark.parametrize(
    "body", [{}, {"decision": "maybe"}, {"decision": "approve", "data": 5}, {"decision": "approve", "x": 1}]
)
def test_a_decision_that_means_nothing_is_refused(room, alice, body):
    room.start(workflow({"q": {"type": "approval", "message": "?"}}))
    room.work()
    (question,) = alice.client.get("/v1/approvals").json()["items"]

    assert alice.client.post(f"/v1/approvals/{question['id']}", body, format="json").status_code in (400, 422)


def test_data_that_does_not_fit_the_form_is_422_with_its_place(room, alice):
    form = {"type": "object", "properties": {"n": {"type": "integer"}}}
    room.start(workflow({"q": {"type": "approval", "message": "?", "form": form}}))
    room.work()
    (question,) = alice.client.get("/v1/approvals").json()["items"]

    answer = alice.client.post(
        f"/v1/approvals/{question['id']}", {"decision": "approve", "data": {"n": "x"}}, format="json"
    )

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/data/n")


@pytest.mark.parametrize("payload", [{"x": 1}, [1], "text", 5, None])
def test_an_event_may_carry_any_json(room, alice, payload):
    run = room.start(workflow({"w": {"type": "wait", "event": "e"}}))
    room.work()

    path = f"/v1/runs/{run}/signals/e"
    answer = alice.client.generic("POST", path, json.dumps(payload), content_type="application/json")

    assert (answer.status_code, answer.json()["delivered"]) == (202, True)
    assert room.node_output(run, "w") == payload


def test_an_event_without_a_body_is_an_empty_one(room, alice):
    run = room.start(workflow({"w": {"type": "wait", "event": "e"}}))
    room.work()

    assert alice.client.post(f"/v1/runs/{run}/signals/e").status_code == 202
    assert room.node_output(run, "w") == {}


@pytest.mark.parametrize("event", ["x" * 201, "%00", "%ED%A0%80"])
def test_a_name_of_an_event_that_cannot_be_is_refused(room, alice, event):
    run = room.start(workflow({"w": {"type": "wait", "event": "e"}}))

    answer = alice.client.post(f"/v1/runs/{run}/signals/{event}", {}, format="json")

    assert answer.status_code in (202, 400, 404, 422), answer.content


def test_a_fork_is_started_and_waited_for(room, alice):
    source = room.finish(workflow({"a": {"values": {"v": "{{ inputs.n }}"}}, "b": {}}, ["a b"]), {"n": 1})
    helper = _work_in_background(room)

    answer = alice.client.post(
        f"/v1/runs/{source.pk}/fork?wait=20", {"from_node": "a", "input": {"n": 2}}, format="json"
    )
    helper()

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert alice.client.get(answer.json()["url"]).json()["forked_from"] == str(source.pk)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"from_node": 5}, {"from_node": "x"}, {"from_node": "a", "visit": 0}, {"from_node": "a", "visit": 9},
        {"from_node": "a", "input": 5}, {"from_node": "a", "context": [1]}, {"from_node": "a", "context": {"k": 1}},
        {"from_node": "a", "definition": {}}, {"from_node": "a", "definition": "x"}, {"from_node": "a", "nope": 1},
        {"from_node": "a\ud800"}, {"from_node": "x" * 200},
    ],
)  # fmt: skip
def test_a_fork_that_means_nothing_is_refused(room, alice, body):
    source = room.finish(workflow({"a": {}}))

    answer = alice.client.generic(
        "POST", f"/v1/runs/{source.pk}/fork", json.dumps(body), content_type="application/json"
    )

    assert answer.status_code in (400, 422), answer.content
    assert answer.json()["errors"] or answer.json()["detail"]


def _work_in_background(room):
    """Works in another thread until the returned function is called."""
    stop = threading.Event()

    def work():
        while not stop.wait(0.02):
            room.work()
        release_connection()

    thread = threading.Thread(target=work)
    thread.start()

    def end():
        stop.set()
        thread.join()

    return end
