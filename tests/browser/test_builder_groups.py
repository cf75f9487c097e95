"""Groups are for the eye: they fold to one box and open again, and the definition knows nothing of them."""

from playwright.sync_api import expect

from tests.browser.building import card, draft, drag, keep_draft, saved, select

NODES = {
    "start": {"type": "set", "values": {}},
    "check": {"type": "set", "needs": "start", "values": {}},
    "fetch": {"type": "set", "needs": "check", "values": {}},
    "end": {"type": "set", "needs": "fetch", "values": {}},
}
FOUR = {"name": "greet", "nodes": NODES}
PLACES = {"start": [0, 0], "check": [240, 0], "fetch": [480, 96], "end": [720, 0]}
GROUP = {"title": "Ask", "nodes": ["check", "fetch"]}


def open_four(open_builder, alice, definition=FOUR, **group):
    layout = {"positions": PLACES, "groups": {"group:1": GROUP | group} if group else {}}
    keep_draft(alice, definition, layout)
    return open_builder(alice)


def box(page):
    return page.locator(".b-box")


def test_notes_and_groups_are_kept_beside_the_definition(open_builder, alice):
    page = open_builder(alice)
    before = draft(alice)["definition"]

    page.keyboard.press("Shift+S")
    page.get_by_label("Note", exact=True).fill("Ask Ada.")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+g")
    page.get_by_label("Name of the group").fill("All of it")
    saved(page)

    kept = draft(alice)
    assert kept["definition"] == before
    assert [note["text"] for note in kept["layout"]["notes"].values()] == ["Ask Ada."]
    assert list(kept["layout"]["groups"].values()) == [{"title": "All of it", "nodes": ["start"]}]


def test_a_group_folds_to_one_box_and_opens_again(open_builder, alice):
    page = open_four(open_builder, alice)
    select(page, "check", "fetch")

    page.keyboard.press("Control+g")
    page.get_by_label("Name of the group").fill("Ask")
    page.get_by_role("button", name="Fold Ask").click()
    expect(box(page)).to_contain_text("Ask2 nodes")
    expect(page.locator(".b-card:not(.b-box)")).to_have_count(2)
    expect(page.locator(".react-flow__edge")).to_have_count(2)
    saved(page)
    assert draft(alice)["definition"] == FOUR
    assert draft(alice)["layout"]["groups"] == {"group:1": GROUP | {"isFolded": True}}

    page.get_by_role("button", name="Open Ask").click()
    expect(page.locator(".b-card:not(.b-box)")).to_have_count(4)
    expect(page.locator(".react-flow__edge")).to_have_count(3)
    saved(page)
    assert draft(alice)["layout"]["groups"] == {"group:1": GROUP}


def test_a_box_is_moved_with_all_that_is_in_it(open_builder, alice):
    page = open_four(open_builder, alice, isFolded=True)
    page.keyboard.press("0")

    drag(page, box(page).locator(".b-card-icon"), card(page, "end").locator(".b-card-icon"))
    saved(page)

    now = draft(alice)["layout"]["positions"]
    moved = {node: (now[node][0] - PLACES[node][0], now[node][1] - PLACES[node][1]) for node in PLACES}
    assert moved["start"] == moved["end"] == (0, 0)
    assert moved["check"] == moved["fetch"] != (0, 0)


def test_a_box_is_opened_and_folded_with_keys(open_builder, alice):
    page = open_four(open_builder, alice, isFolded=True)
    select(page, "start")

    page.keyboard.press("ArrowRight")
    expect(box(page)).to_have_attribute("data-selected", "true")
    page.keyboard.press("Shift+G")
    expect(card(page, "check")).to_have_attribute("data-selected", "true")
    page.keyboard.press("Shift+G")

    expect(box(page)).to_have_attribute("data-selected", "true")


def test_a_problem_in_a_box_shows_on_it_and_its_place_opens_it(open_builder, alice):
    broken = NODES | {"check": NODES["check"] | {"values": {"v": "{{ 1 + }}"}}}
    page = open_four(open_builder, alice, FOUR | {"nodes": broken}, isFolded=True)

    expect(box(page).locator(".b-mark-error")).to_be_visible()
    page.locator(".b-problems").click()
    page.locator(".b-problem-list button").first.click()

    expect(card(page, "check")).to_have_attribute("data-selected", "true")
    expect(page.get_by_label("v", exact=True)).to_be_focused()


def test_what_is_found_in_a_box_is_shown(open_builder, alice):
    page = open_four(open_builder, alice, isFolded=True)

    page.keyboard.press("Control+f")
    page.get_by_role("combobox", name="Node").fill("fetch")
    page.keyboard.press("Enter")

    expect(card(page, "fetch")).to_have_attribute("data-selected", "true")
    expect(box(page)).to_have_count(0)
