"""The smaller pages, as people use them."""

import pytest

from tests.browser.accessibility import assert_accessible
from tests.workflows.engine_room import EngineRoom
from tests.workflows.test_approval_pages import FORM, ask, ask_about_a_draft


@pytest.fixture
def room(organization):
    return EngineRoom(organization)


def test_somebody_decides_on_a_phone(tabs, alice, room):
    approval = ask(room, form=FORM, timeout="1h", on_timeout="reject")
    page = tabs.open("/approvals", alice, width=390)
    assert_accessible(page)

    page.get_by_role("link", name="Send the brief?").click()
    page.get_by_label("Amount").fill("42")
    assert_accessible(page)
    button = page.get_by_role("button", name="Approve")
    assert button.bounding_box()["height"] >= 44
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    button.click()

    page.get_by_text("by alice").wait_for()
    room.work()
    assert room.status(approval.run_id) == "completed"
    assert_accessible(page)


def test_the_keyboard_asks_before_it_decides(tabs, alice, room):
    ask(room, message="First?")
    ask(room, message="Second?")
    page = tabs.open("/approvals", alice)
    assert page.title().startswith("(2)")

    page.get_by_label("Comment").fill("a r")  # letters that are typed decide nothing
    page.locator("body").click(position={"x": 700, "y": 20})
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog", name="Reject?")
    assert_accessible(page)
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.keyboard.press("a")
    page.get_by_role("dialog", name="Approve?").wait_for()
    page.keyboard.press("Enter")

    page.get_by_text("by alice").wait_for()
    assert page.title().startswith("(1)")


def test_a_question_is_sent_back_by_keyboard_with_what_was_typed(tabs, alice, room):
    approval = ask_about_a_draft(room)
    page = tabs.open(f"/approvals/{approval.pk}", alice)
    page.get_by_label("Comment").fill("Shorter.")
    page.locator("body").click(position={"x": 700, "y": 20})

    page.keyboard.press("s")
    page.get_by_role("dialog", name="Send back?").wait_for()
    assert_accessible(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    page.get_by_text("Sent back").first.wait_for()
    page.get_by_text("Shorter.").wait_for()


@pytest.mark.parametrize("width", [390, 1440])
def test_several_questions_are_decided_after_one_that_says_how_many(tabs, alice, room, width):
    first, second, third = (ask(room) for _ in range(3))
    page = tabs.open(f"/approvals/{first.pk}/alike", alice, width=width)
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"

    page.get_by_role("checkbox", name="Send the brief?").nth(1).uncheck()
    page.locator("body").click(position={"x": 300, "y": 20})
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog", name="Approve them?")
    dialog.get_by_text("2 chosen.").wait_for()
    assert_accessible(page)
    page.keyboard.press("Enter")

    page.get_by_text("Approved 2 questions.").wait_for()
    assert room.approval(second.run_id).status == "open"
    assert first.pk != third.pk


def test_a_decision_elsewhere_shows_without_losing_what_was_typed(tabs, alice, room):
    approval = ask(room)
    page = tabs.open(f"/approvals/{approval.pk}", alice)
    page.get_by_label("Comment").fill("I think")

    room.decide(approval.run_id, "approve")

    page.get_by_text("Already approved").wait_for(timeout=15_000)
    assert page.get_by_label("Comment").input_value() == "I think"
    assert_accessible(page)


def test_a_key_is_shown_once(tabs, alice):
    page = tabs.open("/settings/api-keys", alice)
    page.get_by_role("button", name="Create a key").first.click()
    page.get_by_label("Name").fill("ci-deploy")
    assert_accessible(page)
    page.get_by_role("button", name="Create", exact=True).click()

    secret = page.get_by_role("region", name="Key", exact=True).inner_text()
    assert secret.startswith("ork_live_")
    assert_accessible(page)
    page.goto("/settings/api-keys")

    assert page.get_by_text("ci-deploy").first.is_visible()
    assert secret not in page.content()


def test_an_agent_is_found_and_tried(tabs, alice):
    page = tabs.open("/agents", alice)
    page.get_by_role("searchbox").fill("sentiment")
    page.locator(".catalogue > li").nth(1).wait_for(state="detached")
    page.get_by_role("link", name="text_processor").click()

    page.get_by_label("Task Type").select_option(label="sentiment_analysis")
    page.get_by_label("Text", exact=True).fill("What a wonderful day.")
    page.get_by_role("button", name="Run once").click()

    page.locator("#trial").get_by_text("Completed").wait_for()
    assert_accessible(page)


@pytest.mark.parametrize(
    "path", ["/approvals", "/templates", "/agents", "/tools/http.request", "/settings/members", "/settings/roles"]
)
def test_everybody_can_use_it_on_a_phone(tabs, alice, bob, path):
    page = tabs.open(path, alice, width=390)

    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
