"""Two people change one workflow at the same time: nobody overwrites the other without having seen what."""

import pytest
from playwright.sync_api import expect

from apps.accounts.models import Role
from tests.browser.building import card, draft, saved
from tests.fixtures import make_actor


@pytest.fixture
def two(open_builder, alice):
    """The builder as Alice has it open, and as Carol has."""
    carol = make_actor("carol", alice.organization, Role.EDITOR)
    return open_builder(alice), open_builder(carol)


def entitle(page, title):
    card(page, "start").click()
    page.get_by_label("Title", exact=True).fill(title)


def kept_title(alice):
    return draft(alice)["definition"]["nodes"]["start"]["title"]


@pytest.fixture
def conflict(two, alice):
    """Both have changed the same title; Alice's is saved, and Carol is asked."""
    hers, his = two
    entitle(hers, "Hers")
    saved(hers)
    entitle(his, "His")
    return hers, his, his.get_by_role("dialog", name="alice has changed this workflow too")


def test_both_changes_are_shown_and_nothing_is_saved_until_one_is_chosen(conflict, alice):
    _, his, dialog = conflict

    change = dialog.get_by_role("listitem").filter(has_text="title")
    expect(change.locator("del")).to_have_text("His")
    expect(change.locator("ins")).to_have_text("Hers")
    his.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    expect(his.locator(".b-saving")).to_contain_text("Changed by somebody else")
    assert kept_title(alice) == "Hers"


def test_theirs_is_taken_and_undo_brings_back_ones_own(conflict, alice):
    _, his, dialog = conflict

    dialog.get_by_role("button", name="Take theirs").click()
    expect(card(his, "start")).to_contain_text("Hers")
    assert kept_title(alice) == "Hers"

    his.get_by_role("button", name="Undo").click()
    expect(card(his, "start")).to_contain_text("His")


def test_who_overwrites_knows_it_and_the_other_is_told(conflict, alice):
    hers, his, dialog = conflict

    dialog.get_by_role("button", name="Overwrite theirs").click()
    expect(dialog).to_have_count(0)
    saved(his)
    assert kept_title(alice) == "His"

    hers.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(hers.locator(".b-toast")).to_contain_text("carol has changed this")
    expect(card(hers, "start")).to_contain_text("His")


def test_what_came_while_one_was_choosing_is_not_overwritten_either(conflict, alice):
    hers, _, dialog = conflict
    expect(dialog).to_be_visible()
    entitle(hers, "Newer")
    saved(hers)

    dialog.get_by_role("button", name="Overwrite theirs").click()

    expect(dialog.locator("ins")).to_have_text("Newer")
    assert kept_title(alice) == "Newer"


def test_both_are_kept_when_one_becomes_a_copy(conflict, alice):
    _, his, dialog = conflict

    dialog.get_by_role("button", name="Keep mine as a copy").click()

    expect(his.locator(".b-crumbs h1")).to_contain_text("greet-copy")
    expect(card(his, "start")).to_contain_text("His")
    assert kept_title(alice) == "Hers"


def test_the_question_is_asked_again_after_a_reload(conflict, alice):
    _, his, dialog = conflict
    expect(dialog).to_be_visible()

    his.reload()

    expect(dialog.locator("del")).to_have_text("His")
    assert kept_title(alice) == "Hers"


def test_who_moves_a_node_while_another_edits_keeps_both(two, alice):
    hers, his = two
    entitle(hers, "Hers")
    saved(hers)

    card(his, "start").click()
    his.keyboard.press("Alt+ArrowDown")
    saved(his)

    expect(card(his, "start")).to_contain_text("Hers")
    kept = draft(alice)
    assert (kept_title(alice), kept["updated_by"]) == ("Hers", "user:carol")
    assert kept["layout"]["positions"]["start"]


def test_a_version_that_came_by_the_api_meanwhile_is_shown_before_it_is_published_over(open_builder, alice, greet):
    page = open_builder(alice)
    entitle(page, "Mine")
    saved(page)
    theirs = {**greet["definition"], "title": "By the API"}
    alice.client.post("/v1/workflows", theirs, format="json")

    page.get_by_role("button", name="Publish", exact=True).click()
    dialog = page.get_by_role("dialog", name="Publish the draft")
    expect(dialog.get_by_role("alert")).to_contain_text("Version 2 was made since you began from version 1")
    expect(dialog).to_contain_text("Beside version 2")
    dialog.get_by_role("button", name="Publish over version 2").click()

    expect(dialog).not_to_be_visible()
    assert draft(alice)["published_version"] == 3
