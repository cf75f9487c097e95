"""Chromium for whole journeys: a server of this test process, and tabs that somebody has signed in to."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from benchmarks.browser import FLAGS, found
from tests.browser.building import START, card
from tests.fixtures import Actor


def executable() -> str:
    """The Chromium of this machine; `.ci/run` installs one, elsewhere the tests are skipped without it."""
    path = found()
    if path is None and os.environ.get("CI"):
        pytest.fail("There is no Chromium here, and continuous integration must have one.")
    return path or pytest.skip("There is no Chromium here: install one (apt-get install chromium).")


@pytest.fixture(scope="module")  # its event loop must end before tests of other files need one
def chromium() -> Iterator[Browser]:
    """A browser with a fresh profile."""
    path = executable()
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's loop runs on the thread of the tests, where Django then takes every query for one on a loop.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Tabs:
    """Opens tabs, and collects what goes wrong in them."""

    def __init__(self, chromium: Browser, address: str) -> None:
        self.chromium = chromium
        self.address = address
        self.contexts: list[BrowserContext] = []
        self.errors: list[str] = []

    def open(self, path: str, actor: Actor | None = None, *, width: int = 1440, theme: str = "light") -> Page:
        """Open a page of the server, signed in as somebody."""
        context = self.chromium.new_context(
            base_url=self.address, viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
        )
        self.contexts.append(context)
        if actor:
            self._sign_in(context, actor)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.goto(path)
        return page

    def close(self) -> None:
        """Close them all; fails when a script of a page has."""
        for context in self.contexts:
            context.close()
        assert self.errors == []

    def _sign_in(self, context: BrowserContext, actor: Actor) -> None:
        client = Client()
        client.force_login(actor.user)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": self.address}])

    def _heard(self, message: Any) -> None:
        # A page that answers 404 on purpose is an error to the console too; what the policy refused says its name.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)


@pytest.fixture
def tabs(chromium: Browser, live_server: Any) -> Iterator[Tabs]:
    """Opens tabs; at the end no script of any page has failed, and no policy was violated."""
    opened = Tabs(chromium, live_server.url)
    yield opened
    opened.close()


@pytest.fixture
def greet(alice: Actor) -> Any:
    """A workflow of Alice's with one node."""
    return alice.client.post("/v1/workflows", START, format="json").json()


@pytest.fixture
def open_builder(tabs: Tabs, greet: Any) -> Callable[..., Page]:
    """Opens that workflow in the builder, and waits for a node of it."""

    def opened(actor: Actor, node: str = "start", **more: Any) -> Page:
        page = tabs.open("/workflows/greet/edit", actor, **more)
        expect(card(page, node)).to_be_visible()
        return page

    return opened
