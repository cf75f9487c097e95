"""Saving, reading, publishing and comparing workflows."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
from django.db import connection

from apps.common import yaml
from apps.common.database import release_connection
from tests.engine.documents import workflow
from tests.fixtures import client_with

V1 = workflow(
    {"a": {"values": {"v": 1}}, "b": {"values": {"text": "two\nlines"}}}, ["a b"], name="greet", title="Greet"
)
V2 = workflow(
    {"a": {"values": {"v": 2}}, "b": {"values": {"text": "two\nlines"}}}, ["a b"], name="greet", title="Greet"
)

YAML = """\
# How we greet.
name: greet
nodes:
  a: {type: set, values: {v: 1}}   # on: stays a word
"""


def post(actor, document, **headers):
    return actor.client.post("/v1/workflows", document, format="json", headers=headers)


def get(actor, path, **headers):
    return actor.client.get(path, headers=headers)


def send(actor, body, content_type="application/json", path="/v1/workflows"):
    return actor.client.generic("POST", path, body, content_type=content_type)


def test_a_new_workflow_is_created(alice):
    answer = post(alice, V1)

    body = answer.json()
    assert answer.status_code == 201
    assert (body["name"], body["version"], body["published_version"], body["title"]) == ("greet", 1, 1, "Greet")
    assert (body["definition"], body["warnings"]) == (V1, [])


def test_the_same_name_is_a_new_version(alice):
    first = post(alice, V1).json()

    answer = post(alice, V2)

    assert (answer.status_code, answer.json()["version"], answer.json()["id"]) == (200, 2, first["id"])


def test_the_same_content_is_no_new_version(alice):
    post(alice, V1)

    answer = post(alice, json.loads(json.dumps(V1)))

    assert (answer.status_code, answer.json()["version"]) == (200, 1)


def test_going_back_to_an_older_content_is_a_new_version(alice):
    for document in (V1, V2, V1):
        answer = post(alice, document)

    assert answer.json()["version"] == 3


def test_yaml_is_as_good_and_kept_as_it_was_written(alice):
    answer = send(alice, YAML, "application/yaml")

    assert answer.status_code == 201
    version = get(alice, "/v1/workflows/greet/versions/1").json()
    assert (version["source"], version["source_format"]) == (YAML, "yaml")
    assert version["definition"]["nodes"] == {"a": {"type": "set", "values": {"v": 1}}}


def test_a_workflow_is_found_by_name_id_and_the_end_of_the_id(alice):
    created = post(alice, V1).json()

    for ref in ("greet", created["id"], created["id"][-8:], created["id"].upper()):
        assert get(alice, f"/v1/workflows/{ref}").json()["id"] == created["id"]


def test_an_etag_changes_with_the_workflow(alice):
    post(alice, V1)
    tag = get(alice, "/v1/workflows/greet")["ETag"]

    assert get(alice, "/v1/workflows/greet", **{"If-None-Match": tag}).status_code == 304
    post(alice, V2)
    assert get(alice, "/v1/workflows/greet", **{"If-None-Match": tag}).status_code == 200


def test_an_update_of_what_somebody_else_has_changed_is_refused(alice):
    post(alice, V1)
    tag = get(alice, "/v1/workflows/greet")["ETag"]
    post(alice, V2)

    answer = post(alice, V1 | {"title": "mine"}, **{"If-Match": tag})

    assert (answer.status_code, answer["Content-Type"]) == (412, "application/problem+json")
    assert get(alice, "/v1/workflows/greet").json()["version"] == 2


def test_an_update_of_what_nobody_has_changed_is_taken(alice):
    post(alice, V1)
    tag = get(alice, "/v1/workflows/greet")["ETag"]

    assert post(alice, V2, **{"If-Match": tag}).status_code == 200


def test_a_delete_of_what_somebody_else_has_changed_is_refused(alice):
    post(alice, V1)
    tag = get(alice, "/v1/workflows/greet")["ETag"]
    post(alice, V2)

    assert alice.client.delete("/v1/workflows/greet", headers={"If-Match": tag}).status_code == 412
    assert alice.client.delete("/v1/workflows/greet").status_code == 204


@pytest.mark.django_db(transaction=True)
def test_of_many_updates_at_once_of_the_same_state_one_is_taken(alice):
    post(alice, V1)
    tag = get(alice, "/v1/workflows/greet")["ETag"]
    together = threading.Barrier(8)

    def update(number):
        client = client_with(alice.secret)
        release_connection()
        together.wait()
        try:
            document = V1 | {"title": f"number {number}"}
            return client.post("/v1/workflows", document, format="json", headers={"If-Match": tag}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(update, range(8))) == [200] + [412] * 7


@pytest.mark.django_db(transaction=True)
def test_many_saves_of_a_new_name_at_once_make_one_workflow(alice):
    together = threading.Barrier(8)

    def save(number):
        client = client_with(alice.secret)
        release_connection()
        together.wait()
        try:
            return client.post("/v1/workflows", V1 | {"title": f"number {number}"}, format="json").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(save, range(8))) == [200] * 7 + [201]
    numbers = [version["number"] for version in get(alice, "/v1/workflows/greet/versions").json()["items"]]
    assert sorted(numbers) == list(range(1, 9))


def test_the_newest_version_is_the_published_one_until_somebody_publishes(alice):
    post(alice, V1)
    post(alice, V2)
    assert get(alice, "/v1/workflows/greet").json()["published_version"] == 2

    answer = alice.client.post("/v1/workflows/greet/versions/1/publish")
    assert (answer.status_code, answer.json()["published_version"]) == (200, 1)

    post(alice, V1 | {"title": "new"})
    assert get(alice, "/v1/workflows/greet").json()["published_version"] == 1
    assert get(alice, "/v1/workflows/greet").json()["version"] == 3


def test_a_version_that_does_not_exist_is_not_found(alice):
    post(alice, V1)

    answer = alice.client.post("/v1/workflows/greet/versions/2/publish")

    assert (answer.status_code, answer.json()["code"]) == (404, "version_not_found")
    assert get(alice, "/v1/workflows/greet/versions/99999999999").status_code == 404


def test_versions_are_listed_newest_first(alice):
    post(alice, V1)
    alice.client.post("/v1/workflows?message=twice+as+much", V2, format="json")

    newest, oldest = get(alice, "/v1/workflows/greet/versions").json()["items"]

    assert (newest["number"], newest["message"], newest["published"]) == (2, "twice as much", True)
    assert (oldest["number"], oldest["message"], oldest["published"]) == (1, "", False)
    assert newest["created_by"].startswith("key:")


def test_a_diff_names_what_changed(alice):
    post(alice, V1)
    changed = deepcopy(V2)
    changed["nodes"]["c"] = {"type": "set"}
    changed["edges"].insert(0, {"from": "a", "to": "c"})
    post(alice, changed)

    diff = get(alice, "/v1/workflows/greet/versions/1/diff/2").json()

    changes = {(change["op"], change["pointer"]) for change in diff["changes"]}
    assert changes == {("changed", "/nodes/a/values/v"), ("added", "/nodes/c"), ("added", "/edges/0")}
    assert "-      v: 1" in diff["text"]


def test_a_diff_of_a_version_with_itself_is_empty(alice):
    post(alice, V1)

    assert get(alice, "/v1/workflows/greet/versions/1/diff/1").json() == {"changes": [], "text": ""}


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_an_export_can_be_taken_in_again(alice, form):
    post(alice, V1)

    exported = get(alice, f"/v1/workflows/greet/export?format={form}")

    assert exported["Content-Type"].startswith(f"application/{form}")
    again = send(alice, exported.content, f"application/{form}")
    assert (again.status_code, again.json()["version"]) == (200, 1)


def test_one_changed_parameter_is_one_changed_line(alice):
    post(alice, V1)
    post(alice, V2)

    exports = [get(alice, f"/v1/workflows/greet/export?version={number}").content.decode() for number in (1, 2)]

    differing = [pair for pair in zip(*(export.splitlines() for export in exports), strict=True) if pair[0] != pair[1]]
    assert differing == [("      v: 1", "      v: 2")]


def test_the_order_of_keys_in_the_request_does_not_change_the_export(alice):
    post(alice, V1)
    before = get(alice, "/v1/workflows/greet/export").content
    shuffled = {key: V1[key] for key in reversed(V1)}

    assert post(alice, shuffled).json()["version"] == 1
    assert get(alice, "/v1/workflows/greet/export").content == before


def test_every_dialect_is_exported_in_canonical_form(alice):
    send(alice, json.dumps({"name": "s", "steps": [{"name": "x", "agent_type": "echo"}]}))

    exported = yaml.loads(get(alice, "/v1/workflows/s/export").content)

    assert exported["nodes"]["x"]["type"] == "agent"
    assert get(alice, "/v1/workflows/s").json()["dialect"] == "steps"


def test_validating_tells_everything_and_stores_nothing(alice):
    broken = workflow(
        {"a": {"type": "agent", "agent": "ecko"}, "b": {"values": {"v": "{{ nodes.c.output }}"}}}, ["a x"]
    )

    answer = alice.client.post("/v1/workflows/validate", broken, format="json")

    body = answer.json()
    assert (answer.status_code, body["valid"]) == (200, False)
    assert body["errors"][0]["pointer"] == "/edges/0/to"
    assert get(alice, "/v1/workflows").json()["items"] == []


def test_validating_a_good_one_tells_its_shape(alice):
    looped = workflow(
        {"a": {}, "b": {}}, ["a b", {"from": "b", "to": "a", "max": 3}, {"from": "b", "to": "b", "max": 1}]
    )

    body = alice.client.post(
        "/v1/workflows/validate",
        looped
        | {"nodes": {"s": {"type": "set"}, **looped["nodes"]}, "edges": [{"from": "s", "to": "a"}, *looped["edges"]]},
        format="json",
    ).json()

    assert body["valid"] is True
    assert body["graph"] == {
        "nodes": 3,
        "edges": 4,
        "entries": ["s"],
        "loops": [{"from": "b", "to": "a"}, {"from": "b", "to": "b"}],
    }


def test_an_invalid_definition_is_422_with_every_place(alice):
    answer = post(
        alice, workflow({"a": {"type": "agent", "agent": "ecko"}, "b": {"type": "tool", "tool": "http.reqest"}})
    )

    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "invalid_definition")
    assert {(error["pointer"], error["code"]) for error in body["errors"]} == {
        ("/nodes/a/agent", "unknown_agent"),
        ("/nodes/b/tool", "unknown_tool"),
    }
    assert "'echo'" in body["errors"][0]["fix"]


def test_an_archived_workflow_is_gone_and_its_name_is_free(alice):
    first = post(alice, V1).json()["id"]

    assert alice.client.delete("/v1/workflows/greet").status_code == 204
    assert get(alice, "/v1/workflows/greet").status_code == 404
    assert get(alice, f"/v1/workflows/{first}").status_code == 404
    again = post(alice, V1)

    assert (again.status_code, again.json()["version"], again.json()["id"] != first) == (201, 1, True)


def test_a_list_is_sorted_searched_and_paged(alice):
    for name in ("delta", "alpha", "charlie", "bravo"):
        post(alice, V1 | {"name": name, "title": f"Title {name}"})

    def names(query):
        return [item["name"] for item in get(alice, f"/v1/workflows?{query}").json()["items"]]

    assert names("") == ["bravo", "charlie", "alpha", "delta"]
    assert names("sort=name") == ["alpha", "bravo", "charlie", "delta"]
    assert names("sort=-name&limit=2") == ["delta", "charlie"]
    assert names("search=HAR") == ["charlie"]
    page = get(alice, "/v1/workflows?sort=name&limit=3").json()
    assert [
        item["name"]
        for item in get(alice, f"/v1/workflows?sort=name&limit=3&cursor={page['next_cursor']}").json()["items"]
    ] == ["delta"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "sort=size", "cursor=abc", "serach=x", "limit=1&limit=2"]
)
def test_a_parameter_that_means_nothing_is_400_and_says_what_does(alice, query):
    answer = get(alice, f"/v1/workflows?{query}")

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"]


@pytest.mark.parametrize("name", ["", " ", "x" * 201, 5, None, "a\x00b"])
def test_a_name_that_cannot_be_is_refused(alice, name):
    assert post(alice, V1 | {"name": name}).status_code in (400, 422)


@pytest.mark.parametrize("name", ["Ünïcödé 名前", "with/slash", "with space", "a?b#c%", ".", "validate"])
def test_any_other_name_is_taken_and_found_by_its_id(alice, name):
    answer = post(alice, V1 | {"name": name})

    assert answer.status_code == 201
    assert get(alice, f"/v1/workflows/{answer.json()['id']}").json()["name"] == name
