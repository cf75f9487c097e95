"""Lists as people use them: by keyboard, many rows at once, on a phone."""

from datetime import timedelta

import pytest
from django_scopes import scope

from apps.workflows.models import Run
from tests.browser.accessibility import assert_accessible
from tests.workflows.listed import listed, saved


@pytest.fixture
def brief(alice):
    return saved(alice.organization, "market-brief", title="Market brief")


@pytest.fixture
def many(brief):
    """More than a page, in every status."""
    listed(brief, count=60, age=timedelta(hours=1))
    for status in ("running", "waiting", "paused", "pending", "cancelled"):
        listed(brief, status)
    listed(brief, "failed", count=2, age=timedelta(minutes=1))


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("filtered", ["", "?q=status:failed+since:2h", "?q=sinse:2h", "?q=id:012345"])
def test_everybody_can_use_the_list_of_runs(tabs, alice, many, filtered, width):
    page = tabs.open(f"/runs{filtered}", alice, width=width)

    assert_accessible(page)
    assert fits(page), "the page scrolls sideways"


def test_everybody_can_use_a_list_without_runs(tabs, alice):
    assert_accessible(tabs.open("/runs", alice))


def test_a_run_is_looked_into_and_opened_by_keyboard(tabs, alice, many):
    page = tabs.open("/runs", alice)

    page.keyboard.press("j")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="Market brief v1")
    drawer.get_by_text("The channel #launch does not exist.").wait_for()
    assert_accessible(page)
    first = drawer.get_by_role("link", name="Open run").get_attribute("href")
    page.keyboard.press("j")
    page.wait_for_function(
        "first => document.querySelector('[data-peek-open]').getAttribute('href') !== first", arg=first
    )
    page.keyboard.press("Escape")

    assert page.locator("#run-rows [data-peek]").nth(1).evaluate("link => link === document.activeElement")


def test_a_filter_is_written_and_taken_away_and_stays_in_the_address(tabs, alice, many):
    page = tabs.open("/runs", alice)

    page.keyboard.press("/")
    page.keyboard.type("status:failed since:2h")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="status:failed Remove").wait_for()
    assert page.url.endswith("/runs?q=status%3Afailed%20since%3A2h")
    assert page.locator("#run-rows tbody tr").count() == 2

    page.get_by_role("link", name="status:failed Remove").click()
    page.wait_for_url("**/runs?q=since%3A2h")
    page.go_back()
    page.wait_for_url("**/runs?q=status%3Afailed%20since%3A2h")


def test_chosen_runs_are_cancelled_after_a_question_that_says_how_many(tabs, alice, many):
    page = tabs.open("/runs?q=status:running,waiting", alice)

    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_text("2 chosen").wait_for()
    page.get_by_role("toolbar").get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel 2 runs?")
    dialog.wait_for()
    assert_accessible(page)
    dialog.get_by_role("button", name="Cancel 2 runs").click()
    page.get_by_text("Cancelled 2 runs.").wait_for()

    with scope(organization=alice.organization):
        assert not Run.objects.filter(status__in=["running", "waiting"]).exists()


def test_new_runs_are_announced_and_open_ones_change_in_place(tabs, alice, brief):
    (run,) = listed(brief, "running", age=timedelta(minutes=1))
    page = tabs.open("/runs", alice)
    page.get_by_label("Choose run", exact=False).first.check()

    with scope(organization=alice.organization):
        Run.objects.filter(pk=run.pk).update(status="completed")
    listed(brief, count=3, age=timedelta())
    pill = page.get_by_role("link", name="3 new runs: show")
    pill.wait_for(timeout=15_000)
    page.locator(f"#status-{run.pk}").get_by_text("Completed").wait_for()

    assert page.get_by_text("1 chosen").is_visible()
    pill.click()
    page.wait_for_function("document.querySelectorAll('#run-rows tbody tr').length === 4")


def test_a_filter_is_kept_as_a_view(tabs, alice, many):
    page = tabs.open("/runs?q=status:failed", alice)

    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Save this view").click()
    page.get_by_role("dialog", name="Save this view").get_by_label("Name").fill("Broken")
    page.keyboard.press("Enter")
    page.get_by_text("Saved the view 'Broken'.").wait_for()
    page.goto("/runs")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("link", name="Broken").click()

    page.wait_for_url("**/runs?q=status%3Afailed")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["/", "/workflows", "/workflows?q=nothing", "/workflows/market-brief"])
def test_everybody_can_use_home_and_the_workflows(tabs, alice, many, path, width):
    page = tabs.open(path, alice, width=width)

    assert_accessible(page)
    assert fits(page), "the page scrolls sideways"


@pytest.mark.parametrize("path", ["/", "/workflows"])
def test_everybody_can_use_home_and_the_workflows_before_there_are_any(tabs, alice, path):
    assert_accessible(tabs.open(path, alice))


def test_workflows_are_found_while_somebody_types(tabs, alice, brief):
    saved(alice.organization, "triage")
    page = tabs.open("/workflows", alice)

    page.keyboard.press("/")
    page.keyboard.type("tri")
    page.get_by_role("link", name="Market brief", exact=True).wait_for(state="detached")

    assert page.get_by_role("link", name="triage", exact=True).is_visible()
    assert page.url.endswith("/workflows?q=tri")


def test_a_file_that_is_dropped_on_the_list_becomes_a_workflow(tabs, alice):
    page = tabs.open("/workflows", alice)

    def drop(text):
        files = "text => { const t = new DataTransfer(); t.items.add(new File([text], 'w.yaml')); return t; }"
        page.dispatch_event("main", "drop", {"dataTransfer": page.evaluate_handle(files, text)})

    drop("name: dropped\nnodes:\n  a: {type: nothing}\n")
    page.get_by_text("Not imported.").wait_for()
    assert_accessible(page)
    drop("name: dropped\nnodes:\n  a: {type: set, values: {x: 1}}\n")

    page.wait_for_url("**/workflows/dropped")


def test_an_archived_workflow_comes_back_by_undo(tabs, alice, brief):
    page = tabs.open("/workflows", alice)

    page.get_by_role("button", name="Archive Market brief").click()
    page.get_by_role("link", name="Market brief", exact=True).wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()

    page.get_by_role("link", name="Market brief", exact=True).wait_for()
