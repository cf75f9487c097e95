"""Every endpoint of workflows and runs as everybody: owner, viewer, another organization, nobody.

A new endpoint or method without a row here fails `test_every_endpoint_has_a_row`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.urls import URLPattern
from django.views.generic import RedirectView

from apps.workflows import urls
from apps.workflows.models import Workflow
from apps.workflows.services.schedules import Plan, add_schedule
from apps.workflows.store.values import read_value
from tests.engine.documents import workflow
from tests.fixtures import client_with
from tests.workflows.engine_room import EngineRoom

DEFINITION = workflow({"a": {"values": {"v": 1}}}, name="another")
TASKS = {"workflow_type": "parallel", "tasks": [{"agent_id": "1", "agent_role": "echo", "input_data": {"task": "x"}}]}
METHODS = ("get", "post", "put", "patch", "delete")


class World:
    """One of everything in Acme: a workflow with two versions, a run of every kind, an open question."""

    def __init__(self, room: EngineRoom) -> None:
        room.save(workflow({"a": {"values": {"v": 1}}}, name="known"))
        self.workflow = str(room.save(workflow({"a": {"values": {"v": 2}}}, name="known")).workflow.pk)
        self.completed = str(room.finish(workflow({"a": {}})).pk)
        self.failed = str(room.finish(workflow({"a": {"type": "fail"}})).pk)
        asking = room.start(workflow({"q": {"type": "approval", "message": "?"}, "w": {"type": "wait", "event": "e"}}))
        room.work()
        self.waiting, self.approval = str(asking), str(room.approval(asking).pk)
        self.paused = str(room.start(workflow({"a": {}})))
        room.pause(room.run(self.paused).pk)  # type: ignore[arg-type]
        self.task = str(room.start(workflow({"a": {}}), trigger="task"))
        self.unknown = str(room.start(workflow({"a": {"type": "agent", "agent": "echo", "idempotent": False}})))
        room.claim(self.unknown, "a")  # type: ignore[arg-type]
        room.die()
        plan = Plan(cron="0 6 * * *")
        with room.scope():
            known = Workflow.objects.get(pk=self.workflow)
            added = add_schedule(organization=room.organization, workflow=known, name="nightly", plan=plan, by="test")
        self.schedule = str(added.pk)
        self.effect = room.error(self.unknown)["details"]["effect"]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Row:
    """One method of one endpoint: where, with which body, what it takes, and whether an id of Acme stands in it."""

    method: str
    route: str
    path: Callable[[World], str]
    body: Any = None
    needs: str = "view"
    names_something: bool = True

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.route


def row(method: str, route: str, body: Any = None, *, needs: str = "view", **ids: str) -> Row:
    """A row whose path is the route with the world's ids in it: `ref="workflow"` is the world's workflow."""

    def path(world: World) -> str:
        filled = route
        for name, of in ids.items():
            value = getattr(world, of, of)
            filled = filled.replace(f"<str:{name}>", value).replace(f"<int:{name}>", value)
        return "/" + filled

    return Row(method, route, path, body, needs, names_something=bool(ids) and "name" not in ids)


ROWS = [
    row("get", "v1/workflows"),
    row("post", "v1/workflows", DEFINITION, needs="edit"),
    row("post", "v1/workflows/validate", DEFINITION),
    row("post", "v1/workflows/convert", DEFINITION),
    row("get", "v1/workflows/<str:ref>/draft", ref="workflow"),
    row("put", "v1/workflows/<str:ref>/draft", {"definition": DEFINITION}, needs="edit", ref="workflow"),
    row("post", "v1/workflows/<str:ref>/draft/publish", {"message": "m"}, needs="edit", ref="workflow"),
    row("get", "v1/node-types"),
    row("get", "v1/workflows/<str:ref>", ref="workflow"),
    row("delete", "v1/workflows/<str:ref>", needs="edit", ref="workflow"),
    row("get", "v1/workflows/<str:ref>/versions", ref="workflow"),
    row("get", "v1/workflows/<str:ref>/versions/<int:number>", ref="workflow", number="1"),
    row("post", "v1/workflows/<str:ref>/versions/<int:number>/publish", needs="edit", ref="workflow", number="1"),
    row("get", "v1/workflows/<str:ref>/versions/<int:before>/diff/<int:after>", ref="workflow", before="1", after="2"),
    row("get", "v1/workflows/<str:ref>/export", ref="workflow"),
    row("put", "v1/workflows/<str:ref>/offer", {}, needs="edit", ref="workflow"),
    row("get", "v1/workflows/<str:ref>/offer", ref="workflow"),
    row("delete", "v1/workflows/<str:ref>/offer", needs="edit", ref="workflow"),
    row("post", "v1/workflows/<str:ref>/run", {}, needs="run", ref="workflow"),
    row("get", "v1/runs"),
    row("post", "v1/runs", {"definition": DEFINITION}, needs="run"),
    row("get", "v1/runs/<str:ref>", ref="completed"),
    row("get", "v1/runs/<str:ref>/nodes", ref="completed"),
    row("get", "v1/runs/<str:ref>/events", ref="completed"),
    row("get", "v1/runs/<str:ref>/logs", ref="completed"),
    row("get", "v1/runs/<str:ref>/trace", ref="completed"),
    row("get", "v1/runs/<str:ref>/effects", ref="unknown"),
    row("post", "v1/runs/<str:ref>/cancel", needs="run", ref="waiting"),
    row("post", "v1/runs/<str:ref>/pause", needs="run", ref="waiting"),
    row("post", "v1/runs/<str:ref>/resume", needs="run", ref="paused"),
    row("post", "v1/runs/<str:ref>/retry", needs="run", ref="failed"),
    row("post", "v1/runs/<str:ref>/fork", {"from_node": "a"}, needs="run", ref="completed"),
    row("post", "v1/runs/<str:ref>/signals/<str:event>", {"x": 1}, needs="run", ref="waiting", event="e"),
    row("get", "v1/schedules"),
    row("post", "v1/schedules", {"name": "n", "workflow": "known", "cron": "@daily"}, needs="edit"),
    row("get", "v1/schedules/<str:ref>", ref="schedule"),
    row("patch", "v1/schedules/<str:ref>", {"cron": "@hourly"}, needs="edit", ref="schedule"),
    row("delete", "v1/schedules/<str:ref>", needs="edit", ref="schedule"),
    row("get", "v1/schedules/<str:ref>/fires", ref="schedule"),
    row("post", "v1/schedules/<str:ref>/pause", needs="run", ref="schedule"),
    row("post", "v1/schedules/<str:ref>/resume", needs="run", ref="schedule"),
    row("post", "v1/schedules/<str:ref>/fire", needs="run", ref="schedule"),
    row("get", "v1/effects"),
    row("get", "v1/effects/<str:ref>", ref="effect"),
    row("post", "v1/effects/<str:ref>", {"decision": "happened", "result": 1}, needs="run", ref="effect"),
    row("get", "v1/approvals"),
    row("get", "v1/approvals/<str:ref>", ref="approval"),
    row("post", "v1/approvals/<str:ref>", {"decision": "approve"}, needs="run", ref="approval"),
    row("get", "v1/tasks"),
    row("post", "v1/tasks", {"type": "simple", "input": {"message": "x"}}, needs="run"),
    row("get", "v1/tasks/<str:ref>", ref="task"),
    row("get", "v1/tasks/<str:ref>/status", ref="task"),
    row("get", "v1/templates"),
    row("get", "v1/templates/<str:name>", name="content-analysis"),
    row("get", "workflows"),
    row("post", "workflows", DEFINITION, needs="edit"),
    row("get", "workflows/"),
    row("post", "workflows/", DEFINITION, needs="edit"),
    row("get", "workflows/<str:ref>", ref="workflow"),
    row("delete", "workflows/<str:ref>", needs="run", ref="waiting"),
    row("post", "workflows/<str:ref>/execute", {}, needs="run", ref="workflow"),
    row("get", "executions/<str:ref>/status", ref="completed"),
    row("get", "executions/<str:ref>/logs", ref="completed"),
    row("post", "run-graph", TASKS, needs="run"),
    row("get", "status/<str:ref>", ref="completed"),
    row("get", "api/v1/tasks"),
    row("post", "api/v1/tasks", {"type": "simple", "input": {"message": "x"}}, needs="run"),
    row("get", "api/v1/tasks/<str:ref>", ref="task"),
    row("get", "api/v1/tasks/<str:ref>/status", ref="task"),
]
OPEN = {("get", "health"), ("get", "ready")}


def endpoints() -> set[tuple[str, str]]:
    """Every method of every address of the app that is no page, from the URL resolver."""
    found = set()
    for entry in urls.urlpatterns:
        assert isinstance(entry, URLPattern)
        callback = getattr(entry.callback, "api", entry.callback)  # of an address that a page shares
        view = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
        if (entry in urls.pages and callback is entry.callback) or view is RedirectView:
            continue
        methods = [method for method in METHODS if hasattr(view, method)] if view else ["get"]
        found |= {(method, str(entry.pattern)) for method in methods}
    return found


@pytest.fixture
def world(room: EngineRoom) -> World:
    return World(room)


def ids(row: Row) -> str:
    return f"{row.method} {row.route}"


def test_every_endpoint_has_a_row() -> None:
    assert endpoints() == {row.key for row in ROWS} | OPEN


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_an_endpoint_as_everybody(world, alice, bob, charlie, expired, row):
    path = row.path(world)

    def ask(client):
        return client.generic(row.method.upper(), path, *_body(row))

    assert ask(client_with(None)).status_code == 401
    assert ask(expired).status_code == 401
    other = ask(charlie.client)
    assert other.status_code == (404 if row.names_something else other.status_code)
    assert other.status_code < 500
    assert not _shows(other, world)
    viewer = ask(bob.client)
    assert (viewer.status_code == 403) == (row.needs != "view"), viewer.content
    owner = ask(alice.client)
    assert owner.status_code < 300, owner.content


NO_IDS = ["x" * 5000, "%F0%9F%98%80", "..%2f..%2fetc", "0", str(uuid4()), "'", "-1", "%ED%A0%80", "%00"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.names_something], ids=ids)
def test_what_is_no_id_is_not_found(alice, row):
    for ref in NO_IDS:
        path = "/" + row.route.replace("<str:ref>", ref).replace("<str:event>", "e")
        for name in ("number", "before", "after"):
            path = path.replace(f"<int:{name}>", "1")

        answer = alice.client.generic(row.method.upper(), path, *_body(row))

        assert (answer.status_code, answer["Content-Type"]) == (
            400 if ref == "%00" and answer.json()["code"] == "invalid_value" else 404,
            "application/problem+json",
        )


@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "get" and "<" not in row.route], ids=ids)
def test_a_list_shows_nothing_of_another_organization(world, charlie, row):
    items = charlie.client.get("/" + row.route).json()["items"]

    assert items == [] or row.route in {"v1/templates", "v1/node-types"}  # which are everybody's


@pytest.mark.parametrize("of", ["workflow", "known"])
def test_a_filter_by_a_workflow_of_another_organization_is_not_found(world, charlie, of):
    answer = charlie.client.get(f"/v1/runs?workflow={getattr(world, of, of)}")

    assert answer.status_code == 404


def test_a_cursor_of_another_organization_shows_nothing(world, alice, charlie):
    cursor = alice.client.get("/v1/runs?limit=1").json()["next_cursor"]

    answer = charlie.client.get("/v1/runs", {"cursor": cursor})

    assert answer.status_code in (200, 400)
    assert not answer.json().get("items")


def test_a_workflow_of_another_organization_cannot_be_run_from_within_one(world, room, charlie):
    document = workflow({"c": {"type": "workflow", "workflow": "known"}})
    answer = charlie.client.post("/v1/runs", {"definition": document}, format="json")
    assert answer.status_code == 202

    other = EngineRoom(charlie.organization)
    run = other.until_ended(answer.json()["id"])

    assert (run.status, run.error["code"]) == ("failed", "unknown_workflow")


def test_a_large_value_of_another_organization_cannot_be_read_by_its_digest(world, room, charlie):
    secret = json.dumps({"v": "s" * 80_000}, separators=(",", ":"))
    room.finish(workflow({"a": {"values": {"v": "{{ inputs.v }}"}}}), {"v": "s" * 80_000})
    reference = "@" + hashlib.sha256(secret.encode()).hexdigest()
    other = EngineRoom(charlie.organization)

    run = other.finish(workflow({"a": {"values": {"v": "{{ inputs.v }}"}}}), {"v": reference})

    assert other.output(run) == {"a": {"v": reference}}
    assert read_value(room.organization.pk, reference) == {"v": "s" * 80_000}
    with pytest.raises(KeyError):
        read_value(charlie.organization.pk, reference)


def test_an_idempotency_key_of_another_organization_answers_nothing(world, alice, charlie):
    headers = {"Idempotency-Key": "shared"}
    first = alice.client.post("/v1/runs", {"definition": DEFINITION}, format="json", headers=headers)
    second = charlie.client.post("/v1/runs", {"definition": DEFINITION}, format="json", headers=headers)

    assert first.json()["id"] != second.json()["id"]
    assert "Idempotent-Replayed" not in second


def _body(row: Row) -> tuple[Any, ...]:
    return () if row.body is None else (json.dumps(row.body), "application/json")


def _shows(answer: Any, world: World) -> bool:
    """Whether an answer tells another organization anything beyond what it sent itself."""
    text = answer.content.decode()
    return '"items":[{' in text.replace(" ", "") and any(str(one) in text for one in vars(world).values())
