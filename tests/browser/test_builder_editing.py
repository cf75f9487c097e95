"""What one does to the nodes that are there: put in order, find, replace, cut, insert, carry to another tab."""

import itertools
import json

import pytest
from playwright.sync_api import expect

from tests.browser.building import (
    START,
    add_by_name,
    card,
    draft,
    drag,
    handle,
    keep_draft,
    saved,
    select,
)

WIDTH, HEIGHT = 172, 54  # of a card
NODES = {
    "start": {"type": "set", "values": {"score": 7}},
    "check": {"type": "set", "title": "Check it", "needs": "start", "when": "output.score > 3", "values": {}},
    "end": {"type": "set", "values": {"seen": "{{ nodes.check.status }}"}},
}
THREE = {"name": "greet", "nodes": NODES, "edges": [{"from": "check", "to": "end"}]}
SCATTERED = {"start": [320, 32], "check": [0, 192], "end": [160, 368]}


@pytest.fixture
def open_three(open_builder, greet, alice):
    """The builder with three nodes that stand anywhere."""
    keep_draft(alice, THREE, {"positions": SCATTERED})
    return lambda **more: open_builder(alice, **more)


def places(actor):
    return draft(actor)["layout"]["positions"]


def edges(actor):
    """Who leads to whom, in either spelling."""
    definition = draft(actor)["definition"]
    needs = [(node["needs"], name) for name, node in definition["nodes"].items() if "needs" in node]
    return sorted([(edge["from"], edge["to"]) for edge in definition.get("edges", [])] + needs)


@pytest.mark.parametrize(("button", "axis", "line"), [("Align left", 0, 0), ("Align top", 1, 32)])
def test_chosen_nodes_are_aligned_and_the_others_stay(open_three, alice, button, axis, line):
    page = open_three()
    select(page, "start", "check")

    page.get_by_role("button", name=button).click()
    saved(page)

    assert [places(alice)[node][axis] for node in ("start", "check")] == [line, line]
    assert [places(alice)[node][1 - axis] for node in SCATTERED] == [at[1 - axis] for at in SCATTERED.values()]
    assert places(alice)["end"] == SCATTERED["end"]


@pytest.mark.parametrize(("button", "axis", "least"), [("In a row", 0, WIDTH), ("In a column", 1, HEIGHT)])
def test_chosen_nodes_are_put_in_line_with_equal_gaps(open_three, alice, button, axis, least):
    page = open_three()
    page.keyboard.press("Control+a")

    page.get_by_role("button", name=button).click()
    saved(page)

    now = places(alice)
    along = sorted(at[axis] for at in now.values())
    gaps = {after - before for before, after in itertools.pairwise(along)}
    assert len({at[1 - axis] for at in now.values()}) == 1
    assert max(gaps) - min(gaps) <= 16  # of the grid
    assert min(gaps) > least


def test_tidying_up_puts_what_follows_to_the_right_and_everything_into_view(open_three, alice):
    page = open_three()
    page.keyboard.press("0")
    page.mouse.move(700, 400)
    page.mouse.wheel(0, 3000)

    page.keyboard.press("Shift+Alt+T")
    saved(page)

    now = places(alice)
    assert now["start"][0] + WIDTH < now["check"][0] < now["end"][0] - WIDTH
    for node in SCATTERED:
        expect(card(page, node)).to_be_in_viewport(ratio=0.99)
    page.keyboard.press("Control+z")
    saved(page)
    assert places(alice) == SCATTERED


def test_a_node_is_found_by_its_title_and_brought_into_view(open_three):
    page = open_three()
    page.keyboard.press("0")
    page.mouse.move(700, 400)
    page.mouse.wheel(0, 3000)
    expect(card(page, "check")).not_to_be_in_viewport()

    page.keyboard.press("Control+f")
    page.get_by_role("combobox", name="Node").fill("check it")
    page.keyboard.press("Enter")

    expect(card(page, "check")).to_be_in_viewport(ratio=0.99)
    expect(card(page, "check")).to_have_attribute("data-selected", "true")
    expect(page.get_by_role("complementary", name="Node")).to_contain_text("Check it")


def test_a_node_is_replaced_and_keeps_its_place_among_the_others(open_three, alice):
    page = open_three()
    card(page, "check").click()

    page.keyboard.press("r")
    page.get_by_role("combobox", name="What to add").fill("ask a person")
    page.keyboard.press("Enter")
    saved(page)

    node = draft(alice)["definition"]["nodes"]["check"]
    assert node == {
        "title": "Check it",
        "needs": "start",
        "when": "output.score > 3",
        "type": "approval",
        "message": "Go on?",
    }
    assert edges(alice) == [("check", "end"), ("start", "check")]
    assert places(alice) == SCATTERED


def test_what_is_cut_is_gone_here_and_can_be_pasted(open_three, alice):
    page = open_three()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    select(page, "check", "end")

    page.keyboard.press("Control+x")
    expect(page.locator(".b-card")).to_have_count(1)
    saved(page)
    assert list(draft(alice)["definition"]["nodes"]) == ["start"]
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["edges"] == [{"from": "check", "to": "end"}]

    page.keyboard.press("Control+v")
    expect(page.locator(".b-card")).to_have_count(3)
    saved(page)
    assert edges(alice) == [("check", "end")]  # that from outside was cut


def test_a_node_is_put_into_an_edge_and_the_condition_stays_before_it(open_three, alice):
    page = open_three()

    page.get_by_role("button", name="Insert a node between start and check").click()
    page.get_by_role("combobox", name="What to add").fill("echo")
    page.keyboard.press("Enter")
    saved(page)

    definition = draft(alice)["definition"]
    assert edges(alice) == [("check", "end"), ("echo", "check"), ("start", "echo")]
    assert {"from": "start", "to": "echo", "when": "output.score > 3"} in definition["edges"]
    assert "when" not in definition["nodes"]["check"]
    expect(card(page, "echo")).to_have_attribute("data-selected", "true")


def test_a_wire_dropped_on_empty_space_asks_what_to_put_there(open_three, alice):
    page = open_three()
    page.keyboard.press("0")
    box = card(page, "end").bounding_box()

    handle(page, "end", "right").hover()
    page.mouse.down()
    page.mouse.move(box["x"] + WIDTH + 40, box["y"] + 60)
    page.mouse.move(box["x"] + WIDTH + 96, box["y"] + 96)
    page.mouse.up()
    expect(page.get_by_role("dialog", name="Add after end")).to_be_visible()
    page.get_by_role("combobox", name="What to add").fill("echo")
    page.keyboard.press("Enter")
    saved(page)

    assert ("end", "echo") in edges(alice)
    there = card(page, "echo").bounding_box()
    assert abs(there["x"] - box["x"] - WIDTH - 96) <= 16
    assert abs(there["y"] + HEIGHT / 2 - box["y"] - 96) <= 16


def test_a_wire_from_below_a_node_is_taken_when_it_fails(open_three, alice):
    page = open_three()
    page.keyboard.press("0")

    card(page, "start").hover()
    drag(page, handle(page, "start", "bottom"), handle(page, "end", "left"))
    saved(page)

    assert {"from": "start", "to": "end", "on": "error"} in draft(alice)["definition"]["edges"]


def test_the_steps_of_before_a_reload_are_undone_and_done_again(open_three, alice):
    page = open_three()
    add_by_name(page, "echo")
    card(page, "end").click()
    page.keyboard.press("Delete")
    saved(page)

    page.reload()
    expect(card(page, "echo")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(card(page, "end")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(card(page, "echo")).to_have_count(0)
    saved(page)
    assert draft(alice)["definition"] == THREE

    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+y")
    expect(card(page, "echo")).to_be_visible()
    expect(card(page, "end")).to_have_count(0)


def test_nodes_are_carried_to_another_workflow_in_another_tab(open_three, alice):
    alice.client.post("/v1/workflows", START | {"name": "other"}, format="json")
    page = open_three()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    select(page, "start", "check")
    page.keyboard.press("Control+c")

    other = page.context.new_page()
    other.goto("/workflows/other/edit")
    expect(card(other, "start")).to_be_visible()
    other.bring_to_front()
    other.locator(".b-canvas").focus()
    other.keyboard.press("Control+v")
    expect(card(other, "start_2")).to_be_visible()
    saved(other)

    kept = draft(alice, "other")["definition"]
    assert kept["nodes"]["check"] == {"type": "set", "title": "Check it", "values": {}}
    assert kept["edges"] == [{"when": "output.score > 3", "from": "start_2", "to": "check"}]


def test_an_expression_is_written_by_hand_although_the_list_of_values_opens(open_builder, alice):
    page = open_builder(alice)
    card(page, "start").click()
    field = page.locator(".b-pair textarea").first
    field.fill("")

    field.press_sequentially("Hello {{ inputs.nam }}!")
    expect(field).to_have_value("Hello {{ inputs.nam }}!")

    field.press_sequentially(" {{ size(")
    page.keyboard.press("Escape")
    expect(field).to_have_value("Hello {{ inputs.nam }}! {{ size(")


def test_who_answers_when_an_agent_cannot_is_chosen_step_by_step(open_builder, greet, alice):
    asks = {"type": "agent", "agent": "echo", "input": {"message": "Hi"}}
    keep_draft(alice, {"name": "greet", "nodes": {"start": asks}})
    page = open_builder(alice)
    select(page, "start")
    page.get_by_text("More", exact=True).click()

    page.get_by_role("button", name="Add a step").click()
    page.get_by_label("Step 1", exact=True).select_option(label="Another model")
    page.get_by_label("Model of Step 1").fill("small")
    page.get_by_role("button", name="Add a step").click()
    page.get_by_label("Step 2", exact=True).select_option(label="The last good answer")
    page.get_by_label("Age for Step 2").fill("1d")
    page.get_by_role("button", name="Move Step 2 up").click()
    page.get_by_role("button", name="Add a step").click()
    page.get_by_label("Step 3", exact=True).select_option(label="A person")
    page.get_by_label("Message", exact=True).fill("Which is it?")
    saved(page)

    steps = [{"cached": "1d"}, {"model": "small"}, {"person": {"message": "Which is it?"}}]
    assert draft(alice)["definition"]["nodes"]["start"]["degrade"] == steps
    assert (
        "The same agent goes on where it stopped"
        in page.locator('[data-pointer="/nodes/start/degrade/1"]').inner_text()
    )


def test_a_step_that_is_wrong_is_told_at_the_step(open_builder, greet, alice):
    asks = {"type": "agent", "agent": "echo", "degrade": ["cached", {"agent": "ehco"}, "cached"]}
    keep_draft(alice, {"name": "greet", "nodes": {"start": asks}})
    page = open_builder(alice)

    select(page, "start")

    assert "Did you mean 'echo'?" in page.locator('[data-pointer="/nodes/start/degrade/1"] .b-wrong').inner_text()
    assert "Take one of the two out." in page.locator('[data-pointer="/nodes/start/degrade/2"] .b-wrong').inner_text()
