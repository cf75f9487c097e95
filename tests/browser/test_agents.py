"""Making an agent of a prompt and talking with it, in a browser."""

import threading

import pytest
from django_scopes import scope
from playwright.sync_api import Page, expect

from apps.agents.services.definitions import save_agent
from tests.browser.accessibility import assert_accessible

SECONDS = 20_000
DEMO = {"instructions": "You research.", "model": "demo/scripted", "options": {"seconds": 0}, "tools": ["demo.search"]}


@pytest.fixture(autouse=True)
def nobody_talks_on(tabs):
    """The server of these tests notices late who has gone: wait for it, as it asks the database."""
    yield
    for thread in threading.enumerate():
        if thread.name == "chat":
            thread.join(20)


@pytest.fixture
def guide(alice):
    with scope(organization=alice.organization):
        save_agent(organization=alice.organization, name="guide", document=DEMO, by="user:alice")


CARRIED = """\
instructions: |-
  You guide.
  Gently.
tools:
  - tool: demo.search
    approval: always
"""


def say(page: Page, text: str) -> None:
    field = page.get_by_label("Message", exact=True)
    field.fill(text)
    field.press("Enter")


@pytest.mark.parametrize("width", [1440, 390])
def test_an_agent_is_begun_from_an_example_tried_and_saved(tabs, alice, width):
    page = tabs.open("/agents", alice, width=width)
    page.get_by_role("link", name="New agent").click()
    page.get_by_role("link", name="A researcher").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("my-researcher")

    say(page, "Research heat pumps")
    expect(page.locator(".call .name")).to_have_text("demo.search", timeout=SECONDS)
    expect(page.locator(".by-agent .figures")).to_contain_text("demo", timeout=SECONDS)
    assert_accessible(page)

    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/agents/my-researcher")
    expect(page.get_by_role("heading", level=1)).to_have_text("my-researcher")
    expect(page.get_by_role("row", name="demo.search")).to_contain_text("when it has read others' words")


def test_what_was_typed_is_carried_between_the_form_and_yaml(tabs, alice):
    page = tabs.open("/agents/new", alice)
    page.get_by_label("Name", exact=True).fill("guide")
    page.get_by_label("Instructions", exact=True).fill("You guide.\nGently.")
    expect(page.locator("#instructions-tokens")).to_have_text("About 4 tokens")
    page.locator("label", has_text="demo.search").click()
    page.get_by_label("When a person has to agree to demo.search").select_option("always")

    page.get_by_role("button", name="As YAML").click()
    text = page.get_by_label("Document")
    expect(text).to_have_value(CARRIED)
    text.fill("instructions: You guide well.\nlimits: {turns: 3}\n")
    page.get_by_role("button", name="Form", exact=True).click()

    expect(page.get_by_label("Instructions", exact=True)).to_have_value("You guide well.")
    expect(page.get_by_label("Questions to the model")).to_have_value("3")
    expect(page.get_by_label("Name", exact=True)).to_have_value("guide")


def test_a_conversation_is_stopped_cleared_and_begun_by_the_keyboard(tabs, alice, guide):
    page = tabs.open("/agents/guide/playground", alice, width=390)
    with scope(organization=alice.organization):
        slow = {**DEMO, "options": {"seconds": 4}}
        save_agent(organization=alice.organization, name="guide", document=slow, by="user:alice")

    field = page.get_by_label("Message", exact=True)
    field.fill("One")
    field.press("Shift+Enter")
    expect(field).to_have_value("One\n")
    field.press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    field.press("Escape")
    expect(page.locator(".by-agent .figures")).to_contain_text("Stopped.")
    expect(page.get_by_role("button", name="Send")).to_be_visible()

    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".said")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_a_model_says_is_shown_as_text_and_nothing_of_it_is_loaded(tabs, alice, guide):
    page = tabs.open("/agents/guide/playground", alice)
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    say(page, "About <img src=http://example.com/x.png onerror=alert(1)> ![x](http://example.com/y.png)")

    expect(page.locator(".by-agent .figures")).to_contain_text("tokens", timeout=SECONDS)
    expect(page.locator(".by-you .words")).to_contain_text("<img src=")
    assert page.locator(".chat-said img").count() == 0
    assert not [url for url in asked if "example.com" in url]


def test_what_goes_wrong_is_said_and_the_message_given_back(tabs, alice, guide):
    page = tabs.open("/agents/new", alice)
    page.get_by_label("Model", exact=True).fill("no-such-model")

    say(page, "Hello")

    expect(page.locator(".is-failed .words")).to_contain_text("/model: There is no model 'no-such-model'")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Hello")


def test_a_name_that_cannot_be_is_told_and_nothing_is_refused_by_the_policy(tabs, alice):
    page = tabs.open("/agents/new", alice)
    expect(page.get_by_label("What have you changed?")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("My Writer")
    page.locator("#f-instructions").evaluate("field => { field.style.height = '300px'; }")  # as by its corner

    page.get_by_role("button", name="Create").click()

    expect(page.locator("#f-name-error")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("my-writer")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/agents/my-writer")
