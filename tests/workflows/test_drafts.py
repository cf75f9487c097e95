"""Drafts: kept apart from the versions, and never overwritten by somebody who has not seen them."""

import pytest

from apps.workflows.lists import workflows as lists
from apps.workflows.models import Draft, Workflow, WorkflowVersion
from tests.engine.documents import workflow

GREET = workflow({"a": {"values": {"v": 1}}, "b": {}}, ["a b"], name="greet")
OTHER = workflow({"a": {"values": {"v": 2}}, "b": {}}, ["a b"], name="greet")
WRONG = {"name": "greet", "nodes": {"a": {"type": "agent", "agent": "nobody"}}}
YAML = "# How we greet.\nname: greet\nnodes:\n  a: {type: set, values: {v: 1}}\n"
AT = "/v1/workflows/greet/draft"


@pytest.fixture
def greet(alice):
    return alice.client.post("/v1/workflows", GREET, format="json").json()


def put(actor, definition, **more):
    headers = more.pop("headers", None)
    return actor.client.put(AT, {"definition": definition, **more}, format="json", headers=headers)


def read(actor):
    return actor.client.get(AT)


def test_without_a_draft_the_newest_version_is_what_one_begins_with(alice, greet):
    draft = read(alice).json()

    assert (draft["definition"], draft["revision"], draft["based_on"], draft["differs"]) == (GREET, 0, 1, False)


def test_a_draft_says_who_saved_it_and_makes_no_version(alice, greet, in_scope):
    saved = put(alice, OTHER).json()

    assert (saved["revision"], saved["updated_by"], saved["differs"]) == (
        1,
        "key:ork_live_" + alice.key.public_id,
        True,
    )
    assert read(alice).json() == saved
    assert WorkflowVersion.objects.count() == 1


def test_a_draft_may_be_wrong(alice, greet):
    assert put(alice, WRONG).status_code == 200
    assert read(alice).json()["definition"] == WRONG


def test_moving_a_node_changes_no_definition(alice, greet):
    moved = put(alice, GREET, layout={"positions": {"a": [16, 32]}}).json()

    assert (moved["differs"], moved["layout"]) == (False, {"positions": {"a": [16, 32]}})
    assert put(alice, OTHER).json()["layout"] == moved["layout"], "without a layout it stays"


def test_comments_are_kept(alice, greet):
    put(alice, GREET, source=YAML)

    assert read(alice).json()["source"] == YAML


def test_a_version_written_as_yaml_brings_its_comments(alice):
    alice.client.generic("POST", "/v1/workflows", YAML, content_type="application/yaml")

    assert read(alice).json()["source"] == YAML


def test_of_two_saves_of_one_state_the_second_is_refused(alice, greet):
    seen = read(alice).headers["ETag"]

    first = put(alice, OTHER, headers={"If-Match": seen})
    second = put(alice, WRONG, headers={"If-Match": seen})

    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 412, "stale_etag")
    assert read(alice).json()["definition"] == OTHER
    assert put(alice, WRONG, headers={"If-Match": first.headers["ETag"]}).status_code == 200


def test_a_version_that_came_meanwhile_is_noticed_while_there_is_no_draft(alice, greet):
    seen = read(alice).headers["ETag"]
    alice.client.post("/v1/workflows", OTHER, format="json")

    assert put(alice, GREET, headers={"If-Match": seen}).status_code == 412


def test_publishing_makes_the_draft_the_version_that_runs(alice, greet):
    tag = put(alice, OTHER).headers["ETag"]

    published = alice.client.post(f"{AT}/publish", {"message": "Two"}, format="json", headers={"If-Match": tag})

    assert published.status_code == 200, published.json()
    found = alice.client.get("/v1/workflows/greet").json()
    assert (found["version"], found["published_version"], found["definition"]) == (2, 2, OTHER)
    assert alice.client.get("/v1/workflows/greet/versions/2").json()["message"] == "Two"
    assert (published.json()["differs"], published.json()["based_on"]) == (False, 2)
    assert published.headers["ETag"] == read(alice).headers["ETag"]


def test_publishing_also_moves_a_workflow_whose_version_was_chosen_by_hand(alice, greet):
    alice.client.post("/v1/workflows/greet/versions/1/publish")
    put(alice, OTHER)

    alice.client.post(f"{AT}/publish", {}, format="json")

    assert alice.client.get("/v1/workflows/greet").json()["published_version"] == 2


@pytest.mark.parametrize(
    ("definition", "pointer"),
    [(WRONG, "/nodes/a/agent"), (GREET | {"name": "another"}, "/name")],
    ids=["wrong", "name"],
)
def test_what_is_wrong_is_not_published(alice, greet, definition, pointer):
    put(alice, definition)

    answer = alice.client.post(f"{AT}/publish", {}, format="json")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert alice.client.get("/v1/workflows/greet").json()["version"] == 1


def test_who_may_do_what_with_a_draft(guard, greet):
    guard("get", AT)
    guard("put", AT, {"definition": OTHER}, needs="edit")
    guard("post", f"{AT}/publish", {}, needs="edit")


def test_drafts_of_workflows_of_one_name_in_two_organizations_are_apart(alice, charlie, greet):
    charlie.client.post("/v1/workflows", GREET, format="json")

    put(charlie, WRONG)

    assert read(alice).json()["definition"] == GREET


def test_a_draft_goes_with_its_workflow(alice, greet, in_scope):
    put(alice, OTHER)
    alice.client.delete("/v1/workflows/greet")

    assert read(alice).status_code == 404
    assert Draft.objects.count() == 1, "archived, and not lost"


def test_any_dialect_is_converted_without_being_kept(bob):
    steps = {"name": "s", "steps": [{"name": "echo", "agent_type": "echo", "input_mapping": {}}]}

    answer = bob.client.post("/v1/workflows/convert", steps, format="json").json()

    assert (answer["dialect"], answer["definition"]["nodes"]["echo"]["type"]) == ("steps", "agent")
    assert bob.client.get("/v1/workflows").json()["items"] == []


def test_what_is_no_workflow_is_not_converted(alice):
    answer = alice.client.post("/v1/workflows/convert", {"a": 1}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_definition")


def test_node_types_come_with_the_schema_of_their_fields(bob):
    types = {one["type"]: one for one in bob.client.get("/v1/node-types").json()["items"]}

    assert {"agent", "tool", "set", "map", "workflow", "approval", "wait", "fail"} <= types.keys()
    assert types["map"]["fields"]["properties"]["as"]["default"] == "item"
    assert types["wait"]["expressions"] == ["seconds", "until", "event"]


def published(actor):
    assert actor.client.post(f"{AT}/publish", {}, format="json").status_code == 200
    return actor.client.get("/v1/workflows/greet/versions/2").json()


def test_a_version_keeps_the_comments_of_its_draft(alice, greet):
    source = YAML.replace("v: 1", "v: 3")
    put(alice, {"name": "greet", "nodes": {"a": {"type": "set", "values": {"v": 3}}}}, source=source)

    assert (published(alice)["source"], read(alice).json()["source"]) == (source, source)


@pytest.mark.parametrize("source", [YAML, "- : {", "# " + "x" * 100], ids=["another", "broken", "empty"])
def test_a_version_is_never_shown_as_a_text_that_says_something_else(alice, greet, source):
    put(alice, OTHER, source=source)

    version = published(alice)

    assert version["definition"] == OTHER
    assert source not in str(version)


def test_a_draft_may_be_no_larger_than_a_definition(alice, greet):
    huge = OTHER | {"description": "x" * (9 * 1024 * 1024)}

    assert put(alice, huge).status_code == 413
    assert read(alice).json()["revision"] == 0


def test_a_draft_nested_without_end_is_refused(alice, greet):
    nested = '{"definition": ' + '{"a":' * 5000 + "1" + "}" * 5000 + "}"

    answer = alice.client.generic("PUT", AT, nested, content_type="application/json")

    assert answer.status_code in {400, 422}


def test_of_two_who_publish_one_state_the_second_is_told(alice, greet):
    tag = put(alice, OTHER).headers["ETag"]
    send = {"format": "json", "headers": {"If-Match": tag}}

    first = alice.client.post(f"{AT}/publish", {}, **send)
    second = alice.client.post(f"{AT}/publish", {}, **send)

    assert (first.status_code, second.status_code) == (200, 412)


def test_a_draft_of_an_archived_workflow_is_not_saved(alice, greet, in_scope):
    alice.client.delete("/v1/workflows/greet")

    assert put(alice, OTHER).status_code == 404
    assert not Draft.objects.exists()


def test_a_version_that_was_made_meanwhile_is_not_published_over_unseen(alice, greet):
    third = workflow({"a": {"values": {"v": 3}}, "b": {}}, ["a b"], name="greet")
    put(alice, OTHER)
    alice.client.post("/v1/workflows", third, format="json")

    unseen = alice.client.post(f"{AT}/publish", {}, format="json")
    wrong = alice.client.post(f"{AT}/publish", {"over": 1}, format="json")
    seen = alice.client.post(f"{AT}/publish", {"over": 2}, format="json")

    assert (unseen.status_code, unseen.json()["code"], unseen.json()["latest_version"]) == (409, "newer_version", 2)
    assert wrong.status_code == 409
    assert (seen.status_code, seen.json()["latest_version"], seen.json()["based_on"]) == (200, 3, 3)


def test_a_draft_that_says_what_the_newest_version_says_may_be_published(alice, greet):
    put(alice, OTHER)
    alice.client.post("/v1/workflows", OTHER, format="json")

    assert alice.client.post(f"{AT}/publish", {}, format="json").status_code == 200


def test_a_draft_that_says_the_same_in_another_order_does_not_differ(alice, greet, in_scope):
    turned = {"nodes": {name: dict(reversed(node.items())) for name, node in GREET["nodes"].items()}}
    draft = put(alice, {**dict(reversed(GREET.items())), **turned}).json()

    (row,) = lists.rows([Workflow.objects.get()])
    assert (draft["differs"], row.has_draft) == (False, False)
