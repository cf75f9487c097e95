"""How soon a large workflow is open in the builder, and how smoothly it moves: in a real Chromium."""

import json
import time
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.browser import chromium, signed_in
from benchmarks.ours import Ours
from benchmarks.report import Row
from benchmarks.sizes import Sizes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPEN_TO_REACH, FRAMES_TO_REACH, TO_REACH_AT = 2000, 30, 200  # milliseconds, frames a second, nodes
FEW = 3
IN_A_LAYER = 10
DRAG_SECONDS = 3
DRAWN = "nodes => document.querySelectorAll('.b-card').length === nodes && performance.now()"
COUNT = """() => {
    window.frames = [];
    const count = at => { window.frames.push(at); requestAnimationFrame(count); };
    requestAnimationFrame(count);
}"""
RATE = "() => (window.frames.length - 1) * 1000 / (window.frames.at(-1) - window.frames[0])"


def measure(ours: Ours, sizes: Sizes) -> Iterator[Row]:
    """Opening, and dragging a node; beside a workflow of a few nodes."""
    addresses = {nodes: _saved(ours, nodes) for nodes in (FEW, sizes.built)}
    with chromium() as browser:
        state = signed_in(browser, ours.house)
        measured = {nodes: _measured(browser, state, address, nodes, sizes) for nodes, address in addresses.items()}
    (few_ms, few_rate), (ms, rate) = measured[FEW], measured[sizes.built]
    is_asked = sizes.built >= TO_REACH_AT
    few = f"{FEW} nodes"
    yield Row(f"builder, {sizes.built} nodes: to open", ms, "ms", OPEN_TO_REACH if is_asked else None, {few: few_ms})
    what = f"builder, {sizes.built} nodes: while dragging"
    yield Row(what, rate, "frames/s", FRAMES_TO_REACH if is_asked else None, {few: few_rate})


def _saved(ours: Ours, nodes: int) -> str:
    name = f"builder-{nodes}"
    ours.saved(name, json.dumps(layered(nodes)))
    return f"{ours.house.access.url}/workflows/{name}/edit"


def layered(nodes: int) -> dict[str, Any]:
    """Layers of nodes, each of which needs two of the layer before."""

    def needs(number: int) -> list[str]:
        layer, place = divmod(number, IN_A_LAYER)
        return [f"n{(layer - 1) * IN_A_LAYER + (place + step) % IN_A_LAYER}" for step in (0, 1)] if layer else []

    node = {"type": "set", "values": {"text": "{{ run.id }}"}}
    return {"nodes": {f"n{number}": node | {"needs": needs(number)} for number in range(nodes)}}


def _measured(browser: "Browser", state: Any, address: str, nodes: int, sizes: Sizes) -> tuple[float, float]:
    """The milliseconds from the request until all nodes are drawn, and the frames a second while one is dragged."""
    opened, rates = [], []
    for _ in range(sizes.repeats):
        context = browser.new_context(storage_state=state, viewport={"width": 1440, "height": 900})  # nothing cached
        page = context.new_page()
        page.goto(address, wait_until="commit")
        opened.append(float(page.wait_for_function(DRAWN, arg=nodes).json_value()))
        rates.append(_dragged(page))
        context.close()
    return median(opened), median(rates)


def _dragged(page: "Page") -> float:
    """Moves a node to and fro, with all of the others in view."""
    page.locator(".b-card").first.hover()
    page.mouse.down()
    page.evaluate(COUNT)
    began, step = time.perf_counter(), 0
    while time.perf_counter() - began < DRAG_SECONDS:
        step += 1
        page.mouse.move(500 + step * 7 % 300, 200 + step * 5 % 200)
    rate = float(page.evaluate(RATE))
    page.mouse.up()
    return rate
