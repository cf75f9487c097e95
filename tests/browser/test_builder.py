"""The builder, as people use it: by mouse, by keyboard alone, two at a time, and with what they bring along."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import assert_accessible
from tests.browser.building import START, add_by_name, card, draft, drop_file, keep_draft, saved
from tests.workflows.engine_room import EngineRoom
from tests.workflows.test_runs_api import _work_in_background as work_in_background

SEEDS = Path(__file__).parents[1] / "seed_payloads"
WORKFLOWS = sorted(path for path in SEEDS.glob("*.json") if not re.match(r"execute|register", path.stem))


def test_a_run_shows_on_the_nodes_and_its_values_in_the_list(open_builder, alice):
    page = open_builder(alice)
    finish = work_in_background(EngineRoom(alice.organization))

    page.keyboard.press("Control+Enter")
    page.get_by_role("dialog").get_by_role("button", name="Run").click()
    expect(page.locator(".b-bar .b-pill")).to_contain_text("completed", timeout=20_000)
    finish()

    expect(card(page, "start")).to_have_attribute("data-status", "completed")
    card(page, "start").click()
    page.get_by_role("tab", name="Last run").click()
    expect(page.locator(".b-value").first).to_contain_text("What a wonderful day!")
    add_by_name(page, "echo")
    page.get_by_role("button", name="Insert a value into Input").click()
    expect(page.get_by_role("option", name="nodes.start.output.text")).to_contain_text("What a wonderful day!")


def test_what_was_done_can_be_undone_after_a_reload(open_builder, alice):
    page = open_builder(alice)
    card(page, "start").click()
    page.keyboard.press("Delete")
    saved(page)
    expect(card(page, "start")).to_have_count(0)

    page.reload()
    page.get_by_role("button", name="Undo").click()

    expect(card(page, "start")).to_be_visible()


def test_nodes_travel_as_text(open_builder, alice, greet):
    page = open_builder(alice)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card(page, "start").click()

    page.keyboard.press("Control+c")
    page.keyboard.press("Control+v")

    expect(card(page, "start_2")).to_be_visible()
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["nodes"]["start"] == START["nodes"]["start"]


def test_the_text_and_the_graph_are_one(open_builder, alice):
    page = open_builder(alice)
    page.get_by_role("tab", name="YAML").click()
    text = page.get_by_label("The workflow as YAML")
    text.fill(
        "# Ours.\nname: greet\nnodes:\n  start: {type: set, values: {}}  # the first\n"
        "  end: {type: set, needs: start}\n"
    )
    expect(card(page, "end")).to_be_visible()

    card(page, "end").click()
    page.get_by_label("Title", exact=True).fill("Good bye")

    expect(text).to_have_value(re.compile(r"# Ours\.(.|\n)*# the first(.|\n)*title: Good bye"))
    saved(page)
    assert draft(alice)["source"].startswith("# Ours.")


def test_versions_are_compared_and_restored(open_builder, alice):
    changed = {**START, "nodes": {"other": {"type": "set", "values": {}}}}
    page = open_builder(alice)
    page.get_by_role("tab", name="YAML").click()
    page.get_by_label("The workflow as YAML").fill(json.dumps(changed))
    expect(card(page, "other")).to_be_visible()
    page.get_by_role("tab", name="Versions").click()

    page.get_by_role("button", name="Compare").click()
    expect(page.locator('.b-card[data-diff="removed"]')).to_contain_text("start")
    expect(card(page, "other")).to_have_attribute("data-diff", "added")
    page.get_by_role("button", name="Restore").click()

    expect(card(page, "start")).to_be_visible()
    expect(card(page, "other")).to_have_count(0)


def drop(page, text):
    drop_file(page, text)
    expect(page.locator(".b-toast")).to_contain_text("Import workflow.json")


def paste(page, text):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+v")
    expect(page.locator(".b-toast")).to_contain_text("Paste a workflow")


@pytest.mark.parametrize("bring", [drop, paste], ids=["dropped", "pasted"])
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_dialect_is_brought_and_kept_in_canonical_form(open_builder, alice, path, bring):
    page = open_builder(alice)

    bring(page, path.read_text())

    expect(card(page, "start")).to_have_count(0)
    expect(page.locator(".b-problems")).to_have_text("No problems")
    saved(page)
    canonical = alice.client.post("/v1/workflows/convert", json.loads(path.read_text()), format="json").json()
    assert draft(alice)["definition"] == canonical["definition"] | {"name": "greet"}
    assert alice.client.post("/v1/workflows/greet/draft/publish", {}, format="json").status_code == 200


def test_two_hundred_nodes_can_be_found_and_changed(open_builder, alice):
    nodes = {f"n{number}": {"type": "set", "values": {}} for number in range(200)}
    edges = [{"from": f"n{number // 2}", "to": f"n{number}"} for number in range(1, 200)]
    keep_draft(alice, {"name": "greet", "nodes": nodes, "edges": edges})
    page = open_builder(alice, "n0")
    expect(page.locator(".b-card")).to_have_count(200)

    page.keyboard.press("Control+f")
    page.get_by_role("combobox", name="Node").fill("n199")
    page.keyboard.press("Enter")
    expect(card(page, "n199")).to_be_in_viewport(ratio=0.99)
    page.get_by_label("Title", exact=True).fill("The last one")
    saved(page)

    assert draft(alice)["definition"]["nodes"]["n199"]["title"] == "The last one"


def test_who_may_not_change_it_can_look_around(open_builder, bob, alice):
    page = open_builder(bob)

    expect(page.get_by_role("note")).to_contain_text("the role of an editor")
    expect(page.get_by_role("button", name="Publish", exact=True)).to_have_count(0)
    page.keyboard.press("n")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_on_a_phone_one_looks_around(open_builder, alice):
    page = open_builder(alice, width=390)

    expect(page.get_by_text("Editing needs a wider window")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_everybody_can_use_the_builder(open_builder, alice):
    page = open_builder(alice)
    card(page, "start").click()
    page.get_by_role("tab", name="Outline").click()

    assert_accessible(page)


def test_a_part_is_run_alone_on_what_the_rest_gave(open_builder, alice):
    page = open_builder(alice)
    page.keyboard.press("ArrowRight")
    add_by_name(page, "set values")
    page.get_by_role("button", name="Add a value").click()
    page.get_by_label("value_1", exact=True).fill("{{ nodes.start.output.text }}")
    page.locator(".react-flow__pane").click(position={"x": 20, "y": 20})
    finish = work_in_background(EngineRoom(alice.organization))

    def run(button):
        latest = page.locator(".b-bar .b-pill")
        before = latest.get_attribute("href") if latest.count() else ""
        card(page, "set").click()
        page.get_by_role("tab", name="Last run").click()
        page.get_by_role("button", name=button).click()
        if button != "Run from here":
            page.get_by_role("dialog").get_by_role("button", name="Run", exact=True).click()
        expect(latest).not_to_have_attribute("href", before)
        expect(latest).to_contain_text("completed", timeout=20_000)
        expect(page.locator(".b-value").first).to_contain_text("wonderful", timeout=20_000)

    run("Run to here")
    run("Run only this")
    run("Run to here")
    run("Run from here")
    finish()

    page.get_by_role("button", name="Pin output").click()
    expect(card(page, "set").locator(".b-mark-pinned")).to_be_visible()
    saved(page)
    assert draft(alice)["layout"]["pins"] == {"set": {"value_1": "What a wonderful day!"}}
