"""How soon a person sees it: from a committed event to the pixel, and how soon and how heavy pages are."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from benchmarks.browser import chromium, signed_in
from benchmarks.latency import LIVE_P95_TO_REACH
from benchmarks.measuring import quantile, timed_requests
from benchmarks.ours import Ours, chain_of
from benchmarks.report import Row
from benchmarks.sizes import Sizes

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NODES, NODE_SECONDS = 5, 0.4
SETTLING_MS = 500
PAINT_TO_REACH, KILOBYTES_TO_REACH = 0.8, 60

# When each node is seen to be completed: the frame after the one in which its box was changed has been shown.
_WATCH = """() => {
  const seen = (window.seen = {});
  const look = () => document.querySelectorAll('.box.tone-completed').forEach((box) => {
    if (box.dataset.node in seen) return;
    seen[box.dataset.node] = null;
    requestAnimationFrame(() => requestAnimationFrame(() => { seen[box.dataset.node] = Date.now(); }));
  });
  new MutationObserver(look).observe(document.getElementById('graph'), { subtree: true, attributes: true });
}"""
_PAINTED = """() => new Promise((done) => {
  new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime))
    .observe({ type: 'largest-contentful-paint', buffered: true });
})"""
_LOADED = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .filter((one) => !one.name.includes('/events')).map((one) => one.encodedBodySize)"""


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """In Chromium: an open run page, and each page that is read, with nothing in the browser's cache."""
    health = quantile(timed_requests(lambda: ours.client.send("GET", "/health"), sizes.lists), 0.5)
    ours.saved("watched", json.dumps(chain_of(NODES, NODE_SECONDS)))
    with chromium() as browser:
        state = signed_in(browser, ours.house)
        shown = [late for _ in range(sizes.views) for late in _seen(browser, state, ours)]
        for share, to_reach in ((0.5, None), (0.95, LIVE_P95_TO_REACH)):
            what = f"event to pixel, an open run page: p{share * 100:.0f}"
            yield Row(what, quantile(shown, share), "ms", to_reach, {"GET /health": health})
        for name, path in _pages(ours).items():
            views = [_viewed(browser, state, ours.house.access.url + path) for _ in range(sizes.views)]
            yield from _rows(name, views, health / 1000)


@dataclass(frozen=True)
class View:
    """A page that was opened."""

    paint: float  # seconds until its largest part was there
    document: float  # kB of the page itself
    whole: float  # with its styles and scripts


def _seen(browser: "Browser", state: Any, ours: Ours) -> Iterator[float]:
    """Milliseconds from each completion's row to its picture, while a run is watched."""
    run = ours.client.post("/v1/workflows/watched/run", {"input": {}})["id"]
    page = browser.new_context(storage_state=state).new_page()
    page.goto(f"{ours.house.access.url}/runs/{run}")
    page.evaluate(_WATCH)
    page.wait_for_selector("[data-connection]:has-text('Live')")
    began = page.evaluate("Date.now()")
    page.wait_for_selector("[data-connection]:has-text('Ended')")
    page.wait_for_timeout(SETTLING_MS)
    seen = page.evaluate("seen")
    page.context.close()
    events = json.loads(ours.client.send("GET", f"/v1/runs/{run}/events?limit=100"))["items"]
    completed = [event for event in events if event["type"] == "node.completed"]
    happened = {event["node"]: datetime.fromisoformat(event["at"]).timestamp() * 1000 for event in completed}
    yield from (seen[node] - at for node, at in happened.items() if at > began and seen.get(node))


def _pages(ours: Ours) -> dict[str, str]:
    run = json.loads(ours.client.send("GET", "/v1/runs?limit=1"))["items"][0]["id"]
    return {"Home": "/", "runs": "/runs", "workflows": "/workflows", "a run": f"/runs/{run}", "approvals": "/approvals"}


def _viewed(browser: "Browser", state: Any, url: str) -> View:
    page = browser.new_context(storage_state=state).new_page()
    page.goto(url)
    page.wait_for_timeout(SETTLING_MS)  # modules that a module asks for come after the load
    paint, sizes = page.evaluate(_PAINTED), page.evaluate(_LOADED)
    page.context.close()
    return View(paint / 1000, sizes[0] / 1000, sum(sizes) / 1000)


def _rows(name: str, views: Sequence[View], health: float) -> Iterator[Row]:
    paint = quantile([one.paint for one in views], 0.95)
    yield Row(f"largest paint, cold, {name}: p95", paint, "s", PAINT_TO_REACH, {"GET /health": health})
    whole, document = (
        quantile(kilobytes, 0.5) for kilobytes in zip(*((v.whole, v.document) for v in views), strict=True)
    )
    yield Row(f"transfer, cold, {name}", whole, "kB", KILOBYTES_TO_REACH, {"its document": document})
