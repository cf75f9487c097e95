"""What tests of the builder share: how a person handles it, and what the server keeps of that."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.fixtures import Actor

START = {"name": "greet", "nodes": {"start": {"type": "set", "values": {"text": "What a wonderful day!"}}}}
DROPPED = """text => {
    const data = new DataTransfer();
    data.items.add(new File([text], "workflow.json"));
    document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def card(page: Page, node: str) -> Locator:
    """A node on the canvas."""
    return page.locator(f'.b-card[data-node-id="{node}"]')


def handle(page: Page, node: str, side: str) -> Locator:
    """Where wires of a node begin (right) or end (left)."""
    return card(page, node).locator(f".react-flow__handle-{side}")


def saved(page: Page) -> None:
    """Wait until everything is saved."""
    expect(page.locator(".b-saving")).to_contain_text("Draft, saved", timeout=15_000)


def draft(actor: Actor, workflow: str = "greet") -> Any:
    """What the server keeps."""
    return actor.client.get(f"/v1/workflows/{workflow}/draft").json()


def keep_draft(actor: Actor, definition: dict[str, Any], layout: dict[str, Any] | None = None) -> None:
    """Save a draft as a program would."""
    body = {"definition": definition, "layout": layout or {}}
    answer = actor.client.put(f"/v1/workflows/{definition['name']}/draft", body, format="json")
    assert answer.status_code == 200, answer.json()


def drag(page: Page, source: Locator, target: Locator) -> None:
    """Drag from the middle of one thing to the middle of another."""
    source.hover()
    page.mouse.down()
    target.hover(position={"x": 4, "y": 4})
    target.hover()
    page.mouse.up()


def drop_file(page: Page, text: str) -> None:
    """Drop a file with this text on the page."""
    page.evaluate(DROPPED, text)


def add_by_name(page: Page, name: str) -> None:
    """Add a node by the keyboard."""
    page.keyboard.press("n")
    page.get_by_role("combobox", name="What to add").fill(name)
    page.keyboard.press("Enter")


def select(page: Page, *nodes: str) -> None:
    """Choose these nodes, and nothing else, with the mouse."""
    page.keyboard.press("Escape")
    for number, node in enumerate(nodes):
        card(page, node).click(modifiers=["Shift"] if number else [], position={"x": 60, "y": 12})
