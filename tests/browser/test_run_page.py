"""The page of a run as it goes on, in Chromium."""

import gzip
import re
import threading
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from apps.common.database import release_connection
from apps.observability.models import LogLine
from apps.workflows.services import runs
from apps.workflows.services.runs import Order
from orchestra.chaos.proxy import Behaviour, FaultProxy
from tests.agents.live import claim, finish, join, pass_time, report
from tests.browser.accessibility import assert_accessible
from tests.engine.documents import workflow
from tests.workflows.engine_room import EngineRoom
from tests.workflows.listed import wide_map

FORM = {"type": "object", "properties": {"note": {"type": "string"}}}
THREE = workflow(
    {
        "first": {"type": "agent", "agent": "echo", "input": {"text": "one"}},
        "second": {"type": "agent", "agent": "echo", "input": {"text": "two"}, "needs": "first"},
        "unused": {"needs": "first", "when": "false"},
        "third": {"type": "approval", "message": "Send it?", "needs": "second", "form": FORM},
    }
)
ONE = workflow({"first": {"type": "agent", "agent": "echo", "input": {"text": "one"}}})


@pytest.fixture
def room(live_server, organization) -> EngineRoom:
    return EngineRoom(organization)


def status(page, node):
    return page.locator(f'[data-node="{node}"]')


def test_a_run_is_seen_to_go_on_without_loading_again(tabs, alice, room):
    run = room.start(THREE)
    page = tabs.open(f"/runs/{run}", alice)
    expect(page.locator("[data-connection]")).to_have_text("Live")
    expect(status(page, "first")).to_have_class("box tone-queued")

    room.work()

    expect(status(page, "first")).to_have_class("box tone-completed")
    expect(status(page, "third")).to_have_class("box tone-waiting")
    expect(page.locator('[data-key="second#1"] .figure')).to_contain_text("ms")
    expect(page.locator('[data-edge="0"]')).to_have_class("wire taken")
    expect(page.locator("#run-banner")).to_contain_text("Send it?")
    expect(page.locator("#run-status")).to_have_text("Waiting")


def test_a_question_is_answered_in_place_and_typed_text_survives_news(tabs, alice, room):
    run = room.start(THREE)
    room.work()
    page = tabs.open(f"/runs/{run}", alice)
    page.get_by_label("note").fill("Half a sen")

    room.signal(run, "anything", {"n": 1})
    page.evaluate("document.dispatchEvent(new CustomEvent('run-changed'))")
    page.wait_for_timeout(800)

    expect(page.get_by_label("note")).to_have_value("Half a sen")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#run-status")).to_have_text("Completed")
    expect(status(page, "unused")).to_have_class("box tone-skipped")
    expect(page.locator("[data-connection]")).to_have_text("Ended")
    assert room.node_output(run, "third")["data"] == {"note": "Half a sen"}


def test_an_answer_that_does_not_fit_is_marked_at_its_field_in_place(tabs, alice, room):
    form = {"type": "object", "required": ["note"], "properties": {"note": {"type": "string", "pattern": "^[A-Z]"}}}
    run = room.start(workflow({"ask": {"type": "approval", "message": "Send it?", "form": form}}))
    room.work()
    page = tabs.open(f"/runs/{run}", alice)
    page.get_by_label("note").fill("small")

    page.get_by_role("button", name="Approve").click()

    expect(page.locator(".answer .error")).to_be_visible()
    expect(page.get_by_label("note")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("note")).to_have_value("small")
    expect(page.locator(".toast")).to_have_count(0)
    page.get_by_label("note").fill("Great")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#run-status")).to_have_text("Completed")


def test_an_agent_outside_is_seen_at_work_with_its_progress(tabs, alice, room):
    join(alice, "one")
    claim(alice, "one")
    run = room.start(workflow({"loud": {"type": "agent", "agent": "shouter", "input": {"text": "hello"}}}))
    page = tabs.open(f"/runs/{run}", alice)
    expect(page.locator("[data-connection]")).to_have_text("Live")
    room.work()
    task = claim(alice, "one")

    report(alice, "one", task, progress={"fraction": 0.4, "message": "half"})

    expect(status(page, "loud")).to_have_class("box tone-running")
    expect(status(page, "loud").locator(".note")).to_have_text("40 %: half")
    expect(page.locator('[data-key="loud#1"] .figure')).to_have_text("40 %: half")
    expect(page.locator("#run-banner")).to_contain_text("With one, 40 %: half.")
    expect(page.locator("#fold-idle")).to_be_hidden()
    finish(alice, "one", task, output={"text": "HELLO"})
    room.work()
    expect(page.locator("#run-status")).to_have_text("Completed")


def test_a_node_that_comes_back_counts_no_try(tabs, alice, room):
    join(alice, "one", heartbeat_interval=10)
    pass_time(60, "one")
    run = room.start(workflow({"loud": {"type": "agent", "agent": "shouter", "input": {"text": "hello"}}}))
    page = tabs.open(f"/runs/{run}", alice)
    expect(page.locator("[data-connection]")).to_have_text("Live")

    room.work(most=1)

    expect(status(page, "loud").locator(".note")).to_contain_text("back")


def test_a_cut_is_shown_and_afterwards_nothing_is_missing(tabs, alice, room):
    run = room.start(THREE)
    with FaultProxy("localhost", urlsplit(tabs.address).port) as between:
        tabs.address = f"http://localhost:{between.port}"
        page = tabs.open(f"/runs/{run}", alice)
        expect(page.locator("[data-connection]")).to_have_text("Live")

        between.behave(Behaviour(refusing=True))
        between.cut()
        room.work()

        expect(page.locator("[data-connection]")).to_have_text("Reconnecting…")
        expect(page.locator("[data-key]")).to_have_count(1)
        between.behave(Behaviour())
        expect(page.locator("[data-connection]")).to_have_text("Live", timeout=15_000)
        expect(status(page, "third")).to_have_class("box tone-waiting")
        expect(page.locator("[data-key]")).to_have_count(3)
        expect(page.locator("#run-banner")).to_contain_text("Send it?", timeout=15_000)
        page.context.close()


def test_what_is_selected_is_in_the_address_and_the_keys_walk(tabs, alice, room):
    run = room.start(THREE)
    room.work()
    page = tabs.open(f"/runs/{run}", alice)

    page.keyboard.press("]")
    expect(page).to_have_url(f"{tabs.address}/runs/{run}?node=first")
    page.keyboard.press("]")
    expect(page.locator("#inspector h2")).to_have_text("second")
    expect(page.locator('[data-key="second#1"]')).to_have_attribute("aria-current", "true")
    expect(status(page, "second")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Input").click()
    expect(page.locator("#part")).to_contain_text("two")
    page.go_back()
    expect(page.locator("#inspector h2")).to_have_text("second")
    page.keyboard.press("Escape")
    expect(page.locator("#inspector h2")).to_have_text("test")


@pytest.mark.parametrize("width", [390, 1440])
def test_everybody_can_use_it(tabs, alice, room, width):
    run = room.start(THREE)
    room.work()
    page = tabs.open(f"/runs/{run}?node=first&tab=output", alice, width=width)
    page.locator("#history summary").click()
    expect(page.locator(".events li").first).to_be_visible()

    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_a_thousand_rows_are_there_when_they_are_looked_at(tabs, alice, room):
    nodes = {"n0": {}, **{f"n{place}": {"needs": f"n{place - 1}"} for place in range(1, 1_000)}}
    run = room.finish(workflow(nodes))
    page = tabs.open(f"/runs/{run.pk}", alice)

    expect(page.locator("[data-key]").first).to_be_visible()
    assert page.locator("[data-key]").count() < 120
    page.locator("#timeline").evaluate("frame => { frame.scrollTop = frame.scrollHeight; }")
    expect(page.locator('[data-key="n999#1"]')).to_be_visible()


def test_the_whole_page_is_light(tabs, alice, room):
    run = room.start(THREE)
    room.work()
    page = tabs.open(f"/runs/{run}", alice)
    loaded = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")

    bodies = [page.request.get(url).body() for url in {page.url, *loaded} if "/events" not in url]

    assert sum(len(gzip.compress(body)) for body in bodies) < 60_000


def test_a_map_over_ten_thousand_items_is_one_row_whose_items_are_read_by_the_hundred(tabs, alice, room):
    run = wide_map(room, 10_000)
    page = tabs.open(f"/runs/{run}?node=each", alice)

    expect(page.locator('[data-key="each#1"] .figure')).to_have_text("9998/10000 items")
    assert page.locator("[data-key]").count() == 1
    expect(page.locator(".items li")).to_have_count(100)
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".items li").first).to_contain_text("[100]")
    expect(page.locator(".items li")).to_have_count(100)
    assert page.locator("*").count() < 1_500


def test_the_log_is_searched_while_it_is_typed(tabs, alice, room):
    run = room.finish(ONE)
    with room.scope():
        common = {"organization": room.organization, "run_id": run.pk, "node_run_id": room.node(run.pk, "first").pk}
        LogLine.objects.create(level="info", message="Fetched the page", **common)
        LogLine.objects.create(level="error", message="Nothing on it", **common)
    page = tabs.open(f"/runs/{run.pk}?node=first&tab=logs", alice)
    expect(page.locator(".log li")).to_have_count(2)

    page.get_by_label("Search in the log").press_sequentially("fetch")

    expect(page.locator(".log li")).to_have_count(1)
    expect(page.get_by_label("Search in the log")).to_be_focused()
    expect(page).to_have_url(re.compile("q=fetch"))
    page.get_by_label("Search in the log").fill("")
    page.get_by_label("Level").select_option("error")
    expect(page.locator(".log")).to_contain_text("Nothing on it")
    expect(page.locator(".log li")).to_have_count(1)


def test_a_value_copies_itself_its_path_and_its_expression(tabs, alice, room):
    run = room.finish(ONE)
    page = tabs.open(f"/runs/{run.pk}?node=first&tab=output", alice)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    copied = []
    for name in ("Copy the value of", "Copy the path", "Copy the expression"):
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
        expect(page.locator(".toast").last).to_contain_text("Copied")
        copied.append(page.evaluate("navigator.clipboard.readText()"))

    assert copied == ["one", "nodes.first.output.text", "{{ nodes.first.output.text }}"]


def test_a_run_is_taken_to_the_builder_with_its_data(tabs, alice, room):
    saved = room.save(ONE | {"name": "carried"})
    with room.scope():
        run = runs.start_run(organization=room.organization, version=saved.version, order=Order())
    room.until_ended(run)
    page = tabs.open(f"/runs/{run}", alice)

    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Edit with this run's data").click()

    page.wait_for_url("**/workflows/carried/edit")
    expect(page.locator(".b-mark-pinned")).to_have_count(1)


def test_what_a_model_says_is_read_while_it_is_said(tabs, alice, room):
    node = {"type": "agent", "agent": "assistant", "model": "demo/scripted", "input": {"task": "Plan a talk about tea"}}
    run = room.start(workflow({"ask": node | {"config": {"instructions": "You plan.", "options": {"seconds": 4}}}}))
    page = tabs.open(f"/runs/{run}?node=ask", alice)
    expect(page.locator("[data-connection]")).to_have_text("Live")
    worker = threading.Thread(target=lambda: (room.work(), release_connection()))

    worker.start()

    expect(page.locator("[data-saying] p")).to_contain_text("[demo] Three questions")
    worker.join()
    expect(page.locator("[data-saying]")).to_be_hidden()
    expect(page.locator("#part")).to_contain_text("Three questions on tea")
