"""A real Chromium, signed in as the owner: what measures pages, and what tests them, drives this one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from apps.accounts.one_time_links import make_link

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from orchestra.house import House

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


def found() -> str | None:
    """Where it is; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium(*flags: str) -> Iterator["Browser"]:
    """One that runs until the block ends; raises RuntimeError where there is none."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only developers have it

    path = found()
    if path is None:
        raise RuntimeError("there is no Chromium here; install one (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield browser
        browser.close()


def signed_in(browser: "Browser", house: "House") -> Any:
    """What a context has to begin with to be the owner's: its storage state."""
    page = browser.new_page()
    page.goto(f"{house.access.url}/?t={make_link(house.home, house.access.username)}")
    state = page.context.storage_state()
    page.context.close()
    return state
