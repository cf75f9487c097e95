"""What people come for, from the first link to the end, on a real `bin/up` with a real worker."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestra import embedded
from tests.acceptance.orchestra_process import RunningOrchestra, wait_until
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Tabs
from tests.integrations.servers import Answer, Server, serving
from tests.language_models.chat_server import Answer as Said
from tests.language_models.chat_server import ChatServer, chatting

SECONDS = 60_000  # milliseconds, for what a worker does on a machine that is busy
PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.timeout(300)


class Shop:
    """Somebody else's server, which is down until it is mended."""

    is_up = False

    def answer(self, _: Any) -> Answer:
        return Answer(200, body=b"booked") if self.is_up else Answer(500, body=b"The stock is being counted.")


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Shop, Server]]:
    shop = Shop()
    with serving(shop.answer) as server:
        yield shop, server


@pytest.fixture(scope="module")
def model() -> Iterator[ChatServer]:
    """Somebody else's language model."""
    with chatting(Said("Old houses need more heat.")) as server:
        yield server


@pytest.fixture(scope="module")
def orchestra(shop: tuple[Shop, Server], model: ChatServer) -> Iterator[RunningOrchestra]:
    """An Orchestra that was started for the first time, and may call the shop and the model."""
    home = Path(tempfile.mkdtemp(prefix="orchestra-journeys-"))
    running = RunningOrchestra(
        home / "home",
        embedded.free_port(21000),
        ORCHESTRA_EGRESS_ALLOW=f"{shop[1].address},{model.address}",
        ORCHESTRA_WEB_PROCESSES="1",
    )
    yield running.wait_ready()
    running.end()
    embedded.remove_state(home / "home")
    shutil.rmtree(home)


@pytest.fixture
def people(chromium: Browser, orchestra: RunningOrchestra) -> Iterator[Tabs]:
    """Tabs of that Orchestra; at the end no script has failed in any of them."""
    opened = Tabs(chromium, orchestra.access["url"])
    yield opened
    opened.close()


def owner(people: Tabs, orchestra: RunningOrchestra, **more: Any) -> Page:
    """Somebody at the machine, signed in with the name and the password that `bin/up` prints."""
    page = people.open("/", **more)
    page.get_by_label("Name or e-mail").fill(orchestra.access["username"])
    page.get_by_label("Password").fill(orchestra.access["password"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    return page


def test_a_newcomer_watches_the_demo_and_decides(people: Tabs, orchestra: RunningOrchestra) -> None:
    link = re.search(r"Open +(\S+)", orchestra.output)
    assert link
    page = people.open(link[1])
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    assert "?t=" not in page.url
    expect(page.locator(".steps .done")).to_have_count(0)
    assert_accessible(page)

    page.get_by_role("button", name="Run the demo").click()

    expect(page.locator("[data-connection]")).to_have_text("Live")
    expect(page.locator("#run-banner")).to_contain_text("Trying again by itself", timeout=SECONDS)
    expect(page.locator('[data-node="market"]')).to_have_class("box tone-retrying")
    expect(page.locator("#run-banner")).to_contain_text("Send the brief about heat pumps", timeout=SECONDS)
    expect(page.locator('[data-node="market"]')).to_have_class("box tone-completed")
    assert_accessible(page)

    page.get_by_label("A sentence to put in front").fill("Please read this today.")
    page.get_by_role("button", name="Approve").click()

    expect(page.locator("#run-status")).to_have_text("Completed", timeout=SECONDS)
    run = orchestra.call("GET", f"/v1/runs/{page.url.rsplit('/', 1)[1]}").json()
    assert run["output"]["decision"] == "approve"
    page.goto("/")
    expect(page.locator(".steps .done").first).to_contain_text("Run the demo")
    page.locator(".steps").get_by_role("button", name="New workflow").click()
    page.get_by_label("Name", exact=True).fill("My first")
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile("/workflows/my-first/edit$"))
    expect(page.get_by_role("button", name="start")).to_be_visible()


def test_they_add_a_key_and_run_the_demo_again_with_their_model(
    people: Tabs, orchestra: RunningOrchestra, model: ChatServer
) -> None:
    some = {"name": "some", "nodes": {"some": {"type": "set", "values": {"a": 1}}}}
    assert orchestra.call("POST", "/v1/runs?wait=30", json={"definition": some, "input": {}}).is_success
    page = owner(people, orchestra, width=390)
    page.get_by_role("link", name="Add a key").click()
    page.get_by_label("Provider").select_option(label="Ollama or another OpenAI-compatible")
    page.get_by_label("Address").fill(model.url)
    page.get_by_label("Model", exact=True).fill("llama3.2")
    page.get_by_role("button", name="Test and use it").click()
    told = page.get_by_text("Every agent that names no model asks llama3.2 from now on.")
    expect(told).to_be_visible(timeout=SECONDS)
    page.goto("/")
    assert_accessible(page)

    page.get_by_role("button", name="Run the demo again with it").click()

    expect(page.locator("#run-banner")).to_contain_text("Send the brief about heat pumps", timeout=SECONDS)
    facts = page.locator(".facts")
    expect(facts).to_contain_text("Model")
    expect(facts).to_contain_text("llama3.2")
    expect(page.locator('[data-node="market"]')).to_have_class("box tone-completed")
    assert [one["model"] for one in model.asked] == ["llama3.2"] * 6
    page.goto("/")
    expect(page.get_by_text("Run the demo again")).to_have_count(0)


def test_an_operator_is_led_to_what_failed_and_has_it_go_on(
    people: Tabs, orchestra: RunningOrchestra, shop: tuple[Shop, Server]
) -> None:
    started = orchestra.call("POST", "/v1/runs?wait=30", json={"definition": order_at(shop[1]), "input": {}}).json()
    page = owner(people, orchestra)
    expect(page.get_by_role("region", name="Needs you")).to_contain_text("1 failed in 24 hours")
    page.get_by_role("region", name="Failing now").get_by_role("link", name="500").click()

    banner = page.locator("#run-banner")
    expect(banner).to_contain_text("book")
    expect(banner).to_contain_text("500")
    banner.get_by_role("link", name="Open node").click()
    expect(page.locator("#inspector h2")).to_have_text("book")
    assert_accessible(page)

    shop[0].is_up = True
    banner.get_by_role("button", name="Retry").click()

    expect(page.locator("#run-status")).to_have_text("Completed", timeout=SECONDS)
    nodes = orchestra.call("GET", f"/v1/runs/{started['id']}/nodes").json()["items"]
    assert {node["node"]: node["status"] for node in nodes} == {"pick": "completed", "book": "completed"}
    assert len(shop[1].received) == len(["refused", "booked"])
    assert page.url.split("?")[0].endswith(started["id"])


def order_at(shop: Server) -> dict[str, Any]:
    """Something is picked, and then booked at the shop."""
    return {
        "name": "order",
        "nodes": {
            "pick": {"type": "set", "values": {"item": "tea"}},
            "book": {"type": "tool", "needs": "pick", "tool": "http.request", "input": {"url": f"{shop.url}/book"}},
        },
    }


def test_an_approver_decides_on_a_phone_and_another_sees_who_it_was(people: Tabs, orchestra: RunningOrchestra) -> None:
    refund = orchestra.call("POST", "/v1/runs", json={"definition": REFUND, "input": {"amount": 40}}).json()
    wait_until(lambda: orchestra.call("GET", f"/v1/runs/{refund['id']}").json()["status"] == "waiting")
    ada = joined(people, orchestra, "ada")
    ada.goto("/approvals")
    ada.get_by_role("link", name="Refund 40 EUR?").click()
    phone = owner(people, orchestra, width=390)

    phone.goto("/approvals")
    phone.get_by_role("link", name="Refund 40 EUR?").click()
    expect(phone.locator(".follows")).to_contain_text("Approve: the run goes on with pay")
    phone.get_by_label("Reason").fill("It arrived broken.")
    assert_accessible(phone)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    phone.get_by_role("button", name="Approve").click()
    expect(phone.get_by_text("by owner").first).to_be_visible()

    expect(ada.get_by_text("Already approved")).to_be_visible(timeout=SECONDS)
    ada.get_by_role("link", name="Show it").click()
    expect(ada.get_by_text("by owner").first).to_be_visible()
    expect(ada.get_by_text("It arrived broken.").first).to_be_visible()
    wait_until(lambda: orchestra.call("GET", f"/v1/runs/{refund['id']}").json()["status"] == "completed")


def joined(people: Tabs, orchestra: RunningOrchestra, name: str) -> Page:
    """Somebody whom the owner has invited, and who has made an account."""
    page = owner(people, orchestra)
    page.goto("/settings/members")
    page.get_by_role("button", name="Invite", exact=True).click()
    dialog = page.get_by_role("dialog", name="Invite somebody")
    dialog.get_by_label("Role").select_option("operator")
    dialog.locator("footer").get_by_role("button", name="Make a link").click()
    link = page.get_by_role("region", name="Invitation", exact=True).inner_text().strip()
    invited = people.open(link)
    invited.get_by_label("User name").fill(name)
    invited.get_by_label("Password").fill(PASSWORD)
    invited.get_by_role("button", name="Make an account and join").click()
    expect(invited.get_by_role("heading", level=1)).to_have_text("Home")
    return invited


REFUND = {
    "name": "refund",
    "nodes": {
        "ask": {
            "type": "approval",
            "message": "Refund {{ inputs.amount }} EUR?",
            "form": {"type": "object", "required": ["reason"], "properties": {"reason": {"type": "string"}}},
        },
        "pay": {"type": "set", "values": {"paid": "{{ inputs.amount }}"}},
    },
    "edges": [{"from": "ask", "to": "pay", "route": "approve"}],
}
