"""Whether everybody can use a page, as far as axe-core can tell, in light and in dark."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
# A theme is colours, and nothing else: in dark, what is about colours is asked again.
THEMES = {"light": {}, "dark": {"runOnly": ["color-contrast", "link-in-text-block"]}}


@cache
def _axe() -> str:
    return AXE.read_text()


def assert_accessible(page: Page) -> None:
    """Fail with every violation of the page as it stands now, in both themes."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    before = page.evaluate("document.documentElement.dataset.theme ?? null")
    found = [violation for theme in THEMES for violation in _violations(page, theme)]
    page.evaluate("theme => theme ? document.documentElement.dataset.theme = theme : 0", before)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def _violations(page: Page, theme: str) -> list[str]:
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    options = {"resultTypes": ["violations"], **THEMES[theme]}
    result: Any = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{theme}: {one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary']}"
        for one in result["violations"]
        for node in one["nodes"]
    ]
