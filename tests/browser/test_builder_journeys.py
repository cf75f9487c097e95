"""From nothing to a workflow that runs: build it, break it, mend it, run it, and run a part again."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.building import add_by_name, card, draft, drag, handle, saved
from tests.workflows.engine_room import EngineRoom
from tests.workflows.test_runs_api import _work_in_background as work_in_background

BROKEN, MENDED = "{{ nodes.mood.output.sentiment + }}", "{{ nodes.mood.output.sentiment }}"


@pytest.fixture
def worker(alice):
    """Starts a worker, which ends with the test."""
    ends = []
    yield lambda: ends.append(work_in_background(EngineRoom(alice.organization)))
    for end in ends:
        end()


def status_is(page, node, status):
    expect(card(page, node)).to_have_attribute("data-status", status, timeout=20_000)


def last_output(page):
    return page.locator(".b-value", has=page.get_by_role("heading", name="Output", exact=True))


def tab_to(page, target, key="Tab"):
    """Press Tab until the focus is there."""
    for _ in range(40):
        page.keyboard.press(key)
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {target}")


def tab_back_to(page, target):
    tab_to(page, target, "Shift+Tab")


def test_a_newcomer_gets_a_workflow_to_run_with_the_mouse(open_builder, alice, worker):
    page = open_builder(alice)

    build_with_the_mouse(page)
    saved(page)
    assert draft(alice)["definition"]["edges"] == [{"from": "words", "to": "mood"}, {"from": "mood", "to": "set"}]

    break_and_mend_with_the_mouse(page)

    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Run", exact=True).click()
    status_is(page, "words", "queued")
    worker()
    for node in ("words", "mood", "set"):
        status_is(page, node, "completed")
    page.get_by_role("tab", name="Last run").click()
    expect(last_output(page)).to_contain_text('"value_1": "positive"')

    pin_and_rerun_with_the_mouse(page)
    card(page, "set").click()
    expect(last_output(page)).to_contain_text('"value_1": "positive"')

    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_label("What changed").fill("All of it")
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.locator(".b-toast")).to_contain_text("Version 2 is published")
    assert alice.client.get("/v1/workflows/greet").json()["published_version"] == 2


def build_with_the_mouse(page):
    """From an empty canvas: the first node, one by the `+` of that, one from the palette and a wire to it."""
    card(page, "start").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Add the first one").click()
    page.get_by_role("option", name="Set values").click()
    page.get_by_label("Id", exact=True).fill("words")
    page.get_by_role("button", name="Add a value").click()
    page.get_by_label("value_1", exact=True).fill("What a wonderful day!")
    card(page, "words").hover()
    page.get_by_role("button", name="Add a node after words").click()
    page.get_by_role("option", name="text_processor").click()
    page.get_by_label("Id", exact=True).fill("mood")
    page.get_by_label("Task type", exact=True).select_option("sentiment_analysis")
    page.get_by_label("Text", exact=True).fill("{{ nodes.words.output.value_1 }}")
    page.locator('[data-entry="type:set"]').drag_to(page.locator(".b-canvas"), target_position={"x": 420, "y": 420})
    drag(page, handle(page, "mood", "right"), handle(page, "set", "left"))


def break_and_mend_with_the_mouse(page):
    """What is wrong is counted, and its place in the list leads to the node and into the field."""
    card(page, "set").click()
    page.get_by_role("button", name="Add a value").click()
    page.get_by_label("value_1", exact=True).fill(BROKEN)
    expect(page.locator(".b-problems")).to_have_text("1 problem")
    expect(card(page, "set").locator(".b-mark-error")).to_be_visible()
    expect(page.get_by_role("button", name="Publish", exact=True)).to_be_disabled()
    page.get_by_role("tab", name="Last run").click()
    page.locator(".react-flow__pane").click(position={"x": 20, "y": 20})
    page.locator(".b-problems").click()
    page.locator(".b-problem-list button").first.click()
    expect(card(page, "set")).to_have_attribute("data-selected", "true")
    expect(page.get_by_label("value_1", exact=True)).to_be_focused()
    page.get_by_label("value_1", exact=True).fill(MENDED)
    expect(page.locator(".b-problems")).to_have_text("No problems")


def pin_and_rerun_with_the_mouse(page):
    """The middle is changed and would give something else; it is pinned, and gives what it gave."""
    card(page, "mood").click()
    page.get_by_role("button", name="Pin output").click()
    page.get_by_role("tab", name="Setup").click()
    page.get_by_label("Text", exact=True).fill("What a terrible day!")
    expect(card(page, "mood").locator(".b-mark-pinned")).to_be_visible()
    page.get_by_role("tab", name="Last run").click()
    rerun(page, lambda: page.get_by_role("button", name="Run from here").click())


def rerun(page, start):
    first = page.locator(".b-bar .b-pill").get_attribute("href")
    start()
    expect(page.locator(".b-bar .b-pill")).not_to_have_attribute("href", first)
    expect(page.locator(".b-bar .b-pill")).to_contain_text("completed", timeout=20_000)


def test_the_keyboard_alone_is_enough(open_builder, alice, worker):
    page = open_builder(alice)
    page.locator(".b-canvas").focus()

    build_with_keys(page)
    break_and_mend_with_keys(page)

    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("dialog", name="Run the draft")).to_be_visible()
    page.keyboard.press("Enter")
    with page.expect_response(re.compile(r"/v1/runs/[^/?]+$")):  # with what the nodes gave, once it is over
        worker()
        status_is(page, "set", "completed")

    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("p")
    expect(card(page, "mood").locator(".b-mark-pinned")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    tab_back_to(page, page.get_by_role("tab", name="Last run"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Run from here"))
    rerun(page, lambda: page.keyboard.press("Enter"))
    expect(last_output(page)).to_contain_text('"value_1": "positive"')

    page.keyboard.press("Control+s")
    saved(page)
    kept = draft(alice)
    assert kept["definition"]["edges"] == [{"from": "start", "to": "mood"}, {"from": "mood", "to": "set"}]
    assert kept["layout"]["pins"]["mood"]["sentiment"] == "positive"


def build_with_keys(page):
    """After the node that is there an agent and one more; a wrong wire is taken back."""
    page.keyboard.press("ArrowRight")
    add_by_name(page, "text_processor")
    expect(card(page, "text_processor")).to_be_visible()
    page.keyboard.press("F2")
    page.keyboard.type("mood")
    tab_to(page, page.get_by_label("Task type", exact=True))
    page.keyboard.type("sentiment_analysis")
    tab_to(page, page.get_by_label("Text", exact=True))
    page.keyboard.type("{{")
    page.get_by_role("combobox", name="Search values").press_sequentially("start.output.text")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Text", exact=True)).to_have_value("{{ nodes.start.output.text }}")
    page.keyboard.press("Escape")
    add_by_name(page, "set values")
    expect(card(page, "set")).to_be_visible()
    page.keyboard.press("c")
    page.get_by_role("combobox", name="Node").fill("start")
    page.keyboard.press("Enter")
    expect(page.locator(".react-flow__edge")).to_have_count(3)
    page.keyboard.press("Control+z")
    expect(page.locator(".react-flow__edge")).to_have_count(2)


def break_and_mend_with_keys(page):
    """The same way through the list of problems."""
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Add a value"))
    page.keyboard.press("Enter")
    tab_back_to(page, page.get_by_label("value_1", exact=True))
    page.keyboard.insert_text(BROKEN)
    expect(page.locator(".b-problems")).to_have_text("1 problem")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    tab_to(page, page.get_by_role("tab", name="Problems"))
    page.keyboard.press("Enter")
    tab_to(page, page.locator(".b-problem-list button").first)
    page.keyboard.press("Enter")
    expect(page.get_by_label("value_1", exact=True)).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(MENDED)
    expect(page.locator(".b-problems")).to_have_text("No problems")


def test_a_run_that_asks_somebody_is_shown_as_waiting_where_it_waits(tabs, alice, worker):
    asking = {"name": "asking", "nodes": {"ask": {"type": "approval", "message": "Go on?"}}}
    alice.client.post("/v1/workflows", asking, format="json")
    page = tabs.open("/workflows/asking/edit", alice)
    worker()

    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Run", exact=True).click()

    status_is(page, "ask", "waiting")
    expect(page.get_by_title("Open the run")).to_have_text("waiting")
    card(page, "ask").click()
    page.get_by_role("tab", name="Last run").click()
    expect(page.get_by_text("The run waits here.")).to_be_visible()
    expect(page.get_by_role("link", name="Open the run", exact=True)).to_be_visible()


def test_a_map_whose_items_work_is_no_run_that_waits(tabs, alice, worker):
    slow = {"type": "agent", "agent": "echo", "config": {"delay": 5}, "input": "{{ item }}"}
    mapping = {"name": "mapping", "nodes": {"each": {"type": "map", "over": [1, 2], "node": slow}}}
    alice.client.post("/v1/workflows", mapping, format="json")
    page = tabs.open("/workflows/mapping/edit", alice)
    worker()

    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Run", exact=True).click()

    status_is(page, "each", "waiting")  # for its items
    expect(page.get_by_title("Open the run")).to_have_text("running")
