"""The frame of every page, and its components, as people use them."""

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import assert_accessible
from tests.fixtures import PASSWORD


@pytest.fixture(autouse=True)
def debug(settings):
    settings.DEBUG = True  # `/ui` is for developers


@pytest.mark.parametrize("width", [390, 1440])
def test_everybody_can_use_the_components(tabs, alice, width):
    page = tabs.open("/ui", alice, width=width)

    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.mark.parametrize("path", ["/accounts/login", "/accounts/password/reset", "/no/such/page"])
def test_everybody_can_use_the_pages_before_the_sign_in(tabs, settings, path):
    settings.DEBUG = False

    assert_accessible(tabs.open(path))


def test_what_is_missing_is_said_in_the_shell(tabs, alice, settings):
    settings.DEBUG = False

    page = tabs.open("/no/such/page", alice)

    assert_accessible(page)
    assert page.get_by_role("navigation", name="Main").is_visible()


def test_a_person_signs_in_and_out(tabs, alice):
    page = tabs.open("/ui")
    page.get_by_label("Name or e-mail").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Components")

    page.get_by_role("button", name="alice").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_colours_stay_without_a_flash(tabs, alice):
    page = tabs.open("/ui", alice)
    page.get_by_role("button", name="alice").click()
    page.get_by_role("button", name="Dark").click()

    page.reload(wait_until="commit")  # before any script has run

    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_the_palette_goes_where_one_types(tabs, alice):
    page = tabs.open("/ui", alice)
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Command palette")
    palette.get_by_role("combobox").fill("dark")
    assert_accessible(page)

    page.keyboard.press("Enter")

    expect(palette).to_be_hidden()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_the_palette_finds_workflows(tabs, alice):
    document = {"name": "market-brief", "nodes": {"go": {"type": "agent", "agent": "echo"}}}
    alice.client.post("/v1/workflows", document, format="json")
    page = tabs.open("/ui", alice)
    page.keyboard.press("Control+k")

    page.get_by_role("combobox", name="Go to a page").press_sequentially("brief")

    expect(page.get_by_role("option", name="market-brief Workflow")).to_be_visible()


def test_keys_lead_through_a_list_but_not_while_one_types(tabs, alice):
    page = tabs.open("/ui", alice)
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Search runs")
    expect(search).to_be_focused()
    page.keyboard.type("j?")
    expect(search).to_have_value("j?")

    search.blur()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("main [data-row]").nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("main [data-row]").nth(0)).to_be_focused()

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_a_toast_says_what_happened_and_goes(tabs, alice):
    page = tabs.open("/ui", alice)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy (and a toast)").click()

    toast = page.locator(".toast")
    expect(toast).to_contain_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "Copied text"
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_be_hidden()


def test_dialog_drawer_and_menu_open_and_close_by_keyboard(tabs, alice):
    page = tabs.open("/ui", alice)
    for opener, role in (("Dialog", "dialog"), ("Drawer", "dialog")):
        page.get_by_role("button", name=opener, exact=True).press("Enter")
        expect(page.get_by_role(role)).to_be_visible()
        assert_accessible(page)
        page.keyboard.press("Escape")
        expect(page.get_by_role(role)).to_be_hidden()

    page.get_by_role("button", name="More").press("Enter")
    expect(page.get_by_role("button", name="Duplicate")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Duplicate")).to_be_hidden()


def test_a_tree_of_json_is_searched(tabs, alice):
    page = tabs.open("/ui", alice)

    page.get_by_role("searchbox", name="Search in the JSON").fill("market")

    expect(page.locator(".json mark")).to_have_text('"market"')


def test_on_a_telephone_the_navigation_opens_and_closes(tabs, alice):
    page = tabs.open("/ui", alice, width=390)
    navigation = page.get_by_role("navigation", name="Main")
    expect(navigation).to_be_hidden()

    page.get_by_role("button", name="Navigation").click()
    expect(navigation).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(navigation).to_be_hidden()


def test_a_page_loads_little_and_nothing_from_elsewhere(tabs, alice):
    asked = []
    page = tabs.open("/accounts/login", alice)
    page.on("request", lambda request: asked.append(request.url))

    page.goto("/ui")

    assert len([url for url in asked if not url.endswith(".ico")]) <= 12
    assert {url.split("/")[2] for url in asked} == {tabs.address.split("/")[2]}
