"""Some nodes become a workflow of their own, and the old one calls it and does what it did."""

import pytest
from playwright.sync_api import expect

from tests.browser.building import START, card, draft, keep_draft, saved, select
from tests.workflows.engine_room import EngineRoom

WORDS = {
    "name": "greet",
    "inputs": {"type": "object", "properties": {"text": {"type": "string"}}},
    "nodes": {
        "start": {"type": "set", "values": {"text": "{{ inputs.text }}", "limit": 3}},
        "count": {"type": "set", "values": {"n": "{{ size(nodes.start.output.text) }}", "who": "{{ inputs.text }}"}},
        "judge": {"type": "set", "values": {"long": "{{ nodes.count.output.n > nodes.start.output.limit }}"}},
        "end": {"type": "set", "values": {"n": "{{ nodes.count.output.n }}"}},
    },
    "edges": [
        {"from": "start", "to": "count", "when": "output.text != ''"},
        {"from": "count", "to": "judge"},
        {"from": "judge", "to": "end", "when": "output.long"},
    ],
    "outputs": {"n": "{{ nodes.end.status == 'completed' ? nodes.end.output.n : 0 }}"},
}


def extract(page, name):
    page.keyboard.press("Alt+x")
    page.get_by_role("dialog").get_by_label("Name").fill(name)
    page.get_by_role("dialog").get_by_role("button", name="Extract").click()


def outputs(alice, definition):
    """What runs of a definition give, of a long text and of a short one."""
    room = EngineRoom(alice.organization)
    given = []
    for text in ("heat pumps", "ab", ""):
        body = {"definition": definition, "input": {"text": text}}
        run = alice.client.post("/v1/runs", body, format="json").json()
        given.append(room.output(room.until_ended(run["id"])))
    return given


def test_the_selected_nodes_are_called_and_the_workflow_does_what_it_did(open_builder, alice):
    keep_draft(alice, WORDS)
    page = open_builder(alice)
    select(page, "count", "judge")

    page.keyboard.press("Alt+x")
    expect(page.get_by_role("dialog")).to_contain_text("as its inputs: start, text.")
    page.keyboard.press("Escape")
    extract(page, "judging")
    expect(card(page, "judging")).to_have_attribute("data-selected", "true")
    expect(page.locator(".b-problems")).to_have_text("No problems")
    saved(page)

    definition = draft(alice)["definition"]
    assert list(definition["nodes"]) == ["start", "end", "judging"]
    assert definition["nodes"]["judging"] == {
        "type": "workflow",
        "workflow": "judging",
        "input": {"start": "{{ nodes.start.output }}", "text": "{{ inputs.text }}"},
    }
    assert {"from": "judging", "to": "end", "when": "output.judge.long"} in definition["edges"]
    assert outputs(alice, definition) == outputs(alice, WORDS) == [{"n": 10}, {"n": 0}, {"n": 0}]


def test_undo_brings_the_nodes_back_and_the_new_workflow_stays(open_builder, alice):
    keep_draft(alice, WORDS)
    page = open_builder(alice)
    select(page, "count", "judge")
    extract(page, "judging")
    expect(card(page, "judging")).to_be_visible()

    page.keyboard.press("Control+z")
    saved(page)

    assert draft(alice)["definition"] == WORDS
    assert alice.client.get("/v1/workflows/judging").status_code == 200


def test_what_is_left_out_inside_still_stops_what_follows(open_builder, alice):
    edges = [{"from": "start", "to": "count"}, {"from": "count", "to": "judge", "when": "output.n > 3"}]
    skipping = WORDS | {"edges": [*edges, {"from": "judge", "to": "end"}]}
    keep_draft(alice, skipping)
    page = open_builder(alice)
    select(page, "count", "judge")

    extract(page, "judging")
    expect(card(page, "judging")).to_be_visible()
    saved(page)

    assert outputs(alice, draft(alice)["definition"]) == outputs(alice, skipping) == [{"n": 10}, {"n": 0}, {"n": 0}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"edges": [{"from": "start", "to": "count"}, {"from": "start", "to": "judge"}]}, "in: 'count', 'judge'"),
        ({"edges": [*WORDS["edges"], {"from": "count", "to": "end"}]}, "out: 'judge', 'count'"),
        ({"outputs": {"s": "{{ nodes.count.status }}"}}, "An output of the workflow reads how 'count' went"),
        (
            {"edges": [*WORDS["edges"][:2], {"from": "judge", "to": "end", "on": "error"}]},
            "after an error, which is known only inside",
        ),
        (
            {"nodes": WORDS["nodes"] | {"count": WORDS["nodes"]["count"] | {"save": {"k": "{{ output.n }}"}}}},
            "'count' saves to the context",
        ),
    ],
    ids=["two ways in", "two ways out", "a status", "an error", "the context"],
)
def test_what_cannot_be_a_workflow_of_its_own_is_told_why(open_builder, alice, change, reason):
    keep_draft(alice, WORDS | change)
    page = open_builder(alice)
    select(page, "count", "judge")

    page.keyboard.press("Alt+x")

    expect(page.locator(".b-toast")).to_contain_text(reason)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_workflow_of_that_name_is_not_overwritten(open_builder, alice):
    alice.client.post("/v1/workflows", START | {"name": "judging"}, format="json")
    keep_draft(alice, WORDS)
    page = open_builder(alice)
    select(page, "count", "judge")

    extract(page, "judging")

    expect(page.get_by_role("alert")).to_contain_text("There is a workflow 'judging' already")
    assert len(alice.client.get("/v1/workflows/judging/versions").json()["items"]) == 1
