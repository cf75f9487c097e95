"""The frame of every page, and its components, as people use them."""

import pytest

from tests.browser.accessibility import assert_accessible


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
