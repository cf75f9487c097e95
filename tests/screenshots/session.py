"""One Orchestra, filled, and the pictures of it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from benchmarks.browser import chromium, signed_in
from orchestra import prepare
from orchestra.house import House, running_house
from orchestra.settings import BASE_DIR
from tests.screenshots.history import grow_old
from tests.screenshots.pictures import PICTURES, Picture, Scene
from tests.screenshots.work import Work, ages, fill

HOMES = BASE_DIR / ".orchestra" / "screenshots"
NAMES = [picture.name for picture in PICTURES]
WIDTH = 1440


def photograph(names: list[str], folder: Path, *, runs: int) -> Iterator[Path]:
    """Take the pictures of these names, all without one; gives each file as it is written."""
    chosen = [picture for picture in PICTURES if not names or picture.name in names]
    folder.mkdir(parents=True, exist_ok=True)
    with running_house(HOMES, workers=1) as house:
        work = _filled(house, runs)
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's loop runs on this thread
        with chromium("--disable-lcd-text") as browser:  # fewer colours
            state = signed_in(browser, house)
            for picture in chosen:
                yield _taken(picture, browser, state, house, work, folder)


def _filled(house: House, runs: int) -> Work:
    prepare.load_demo_workflows(house.access.organization)
    work = fill(house.access, runs=runs)
    grow_old(dict(zip(work.past, ages(runs), strict=True)))
    return work


def _taken(picture: Picture, browser: Browser, state: Any, house: House, work: Work, folder: Path) -> Path:
    context = browser.new_context(
        storage_state=state,
        base_url=house.access.url,
        viewport={"width": WIDTH, "height": picture.height},
        color_scheme=picture.theme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    picture.prepare(Scene(page, house.access, work))
    page.wait_for_load_state("load")
    path = folder / f"{picture.name}.png"
    page.screenshot(path=path, animations="disabled", caret="hide")
    context.close()
    return path
