"""The time of a run, in Chromium: a part of it, all of it, and what was idle."""

import itertools
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from apps.workflows.models import Attempt, NodeRun, Run
from tests.browser.accessibility import assert_accessible
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom

ECHO = {"type": "agent", "agent": "echo", "input": {"text": "hi"}}
ASK = {"type": "approval", "message": "Go on?", "needs": "first"}
SECONDS = {"first": (0, 2), "ask": (2, 98), "last": (98, 100)}  # when each began and ended


@pytest.fixture
def room(live_server, organization) -> EngineRoom:
    return EngineRoom(organization)


@pytest.fixture
def waited(room) -> Run:
    """A run of 100 seconds, in 96 of which it waited for a person."""
    run = room.start(workflow({"first": ECHO, "ask": ASK, "last": ECHO | {"needs": "ask"}}))
    room.work()
    room.decide(run, "approve")
    ended = room.until_ended(run)
    with room.history_open(), room.scope():
        begun = ended.created_at
        Run.objects.filter(pk=run).update(started_at=begun, finished_at=begun + timedelta(seconds=100))
        for name, seconds in SECONDS.items():
            start, end = (begun + timedelta(seconds=second) for second in seconds)
            visit = NodeRun.objects.filter(run=run, node=name)
            visit.update(created_at=start, started_at=start, finished_at=end)
            Attempt.objects.filter(node_run__in=visit).update(started_at=start, ended_at=end)
    return ended


def bar(page: Page, node: str) -> dict[str, float]:
    """Where the last bar of a row stands."""
    box = page.locator(f'[data-key="{node}#1"] .track rect').last.bounding_box()
    assert box is not None
    return box


def axis(page: Page) -> dict[str, float]:
    box = page.locator("#axis").bounding_box()
    assert box is not None
    return box


def drag(page: Page, begin: float, end: float) -> None:
    """Drag over the axis, from one share of its width to another."""
    box = axis(page)
    page.mouse.move(box["x"] + box["width"] * begin, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + 8, steps=3)
    page.mouse.up()


def test_dragging_over_the_axis_looks_closer_and_one_button_leads_back(tabs, alice, waited):
    page = tabs.open(f"/runs/{waited.pk}", alice)
    expect(page.get_by_role("button", name="Whole run")).to_be_hidden()
    before = bar(page, "first")["width"]

    drag(page, 0, 0.04)

    expect(page.locator("#axis")).to_contain_text("2 s")
    assert bar(page, "first")["width"] > before * 10
    assert "to=4" in page.url
    page.get_by_role("button", name="Whole run").click()
    expect(page.locator("#axis")).to_contain_text("1:30")
    assert bar(page, "first")["width"] == pytest.approx(before, abs=1)
    assert "to=" not in page.url


def test_a_double_click_fits_the_bar(tabs, alice, waited):
    page = tabs.open(f"/runs/{waited.pk}", alice)

    page.locator('[data-key="first#1"] .track rect').last.dblclick()

    expect(page.get_by_role("button", name="Whole run")).to_be_visible()
    expect(page.locator('[data-key="first#1"]')).to_have_attribute("aria-current", "true")
    assert bar(page, "first")["width"] > axis(page)["width"] * 0.85


def test_the_time_is_looked_at_by_keys_alone(tabs, alice, waited):
    page = tabs.open(f"/runs/{waited.pk}?node=last", alice)

    page.keyboard.press("z")
    expect(page.locator("#axis")).to_contain_text("1:39")
    assert bar(page, "last")["width"] > axis(page)["width"] * 0.85
    page.keyboard.press("-")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#axis")).to_contain_text("1:36")
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Whole run")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_contain_text("Fit what is selected")


def test_idle_time_is_hidden_when_somebody_asks_for_it(tabs, alice, waited):
    page = tabs.open(f"/runs/{waited.pk}", alice)
    whole = axis(page)["width"]
    assert bar(page, "ask")["width"] > whole * 0.9

    page.get_by_role("button", name="Hide 1 min 36 s of idle time").click()

    expect(page.get_by_role("button", name="Show 1 min 36 s of idle time")).to_have_attribute("aria-pressed", "true")
    assert bar(page, "ask")["width"] < whole * 0.1
    assert bar(page, "first")["width"] > whole * 0.4
    page.reload()
    expect(page.get_by_role("button", name="Show 1 min 36 s of idle time")).to_be_visible()


def test_idle_time_is_not_spoken_of_where_there_is_little(tabs, alice, room):
    run = room.finish(workflow({"a": ECHO, "b": ECHO | {"needs": "a"}}))
    page = tabs.open(f"/runs/{run.pk}", alice)

    expect(page.locator("#axis text").first).to_be_visible()
    expect(page.locator("#fold-idle")).to_be_hidden()


def test_no_bar_is_thinner_than_two_pixels(tabs, alice, room):
    nodes = {"first": ECHO, "ask": ASK}
    run = room.start(workflow(nodes))
    room.work()
    with room.scope():
        Run.objects.filter(pk=run).update(created_at=room.run(run).created_at - timedelta(hours=9))
    page = tabs.open(f"/runs/{run}", alice, width=390)
    expect(page.locator("#axis text").first).to_be_visible()

    widths = page.locator(".track rect").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")

    assert min(widths) >= 1.9


def test_what_is_selected_changes_nothing_about_the_time(tabs, alice, waited):
    page = tabs.open(f"/runs/{waited.pk}?from=0&to=4000", alice)

    page.locator('[data-key="first#1"]').click()

    expect(page.locator("#inspector h2")).to_have_text("first")
    assert "from=0&to=4000" in page.url
    page.keyboard.press("Escape")
    expect(page.locator("#inspector h2")).to_have_text("test")
    expect(page.get_by_role("button", name="Whole run")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Whole run")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 1440])
def test_a_part_of_the_time_without_idle_time_can_be_used_by_everybody(tabs, alice, waited, width):
    page = tabs.open(f"/runs/{waited.pk}?from=0&to=99000&idle=hidden", alice, width=width)
    expect(page.get_by_role("button", name="Whole run")).to_be_visible()

    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.mark.parametrize("width", [390, 700, 1440])
def test_the_times_of_the_axis_stand_apart_however_narrow_it_is(tabs, alice, waited, width):
    page = tabs.open(f"/runs/{waited.pk}", alice, width=width)
    ends = "all => all.map(one => { const {left, right} = one.getBoundingClientRect(); return [left, right] })"

    for query in ("", "?from=0&to=2010", "?from=1000&to=1400", "?idle=hidden"):
        page.goto(f"/runs/{waited.pk}{query}")
        expect(page.locator("#axis text").first).to_be_visible()
        words = page.locator("#axis text").evaluate_all(ends)

        assert all(left[1] <= right[0] for left, right in itertools.pairwise(words)), (query, words)
