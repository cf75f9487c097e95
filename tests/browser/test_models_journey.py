"""Setting up a model as a person does: a key, a default, a test, and a run that a budget has paused."""

from collections.abc import Iterator
from typing import Any

import pytest
from django_scopes import scope
from playwright.sync_api import expect

from apps.accounts.models import Organization
from apps.integrations.models import ModelProvider, ModelSetting
from apps.observability.models import Budget
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Tabs
from tests.engine.documents import workflow
from tests.fixtures import Actor
from tests.language_models.chat_server import Answer, ChatServer, chatting
from tests.workflows.engine_room import EngineRoom

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def server(settings: Any) -> Iterator[ChatServer]:
    with chatting() as running:
        settings.ORCHESTRA_EGRESS_ALLOW |= {running.address}
        yield running


@pytest.fixture
def smart(alice: Actor) -> ModelSetting:
    """A model that is set up, and asked by nobody."""
    with scope(organization=alice.organization):
        provider = ModelProvider.objects.create(
            organization=alice.organization, name="own", kind="openai_compatible", base_url="http://127.0.0.1:9/v1"
        )
        return ModelSetting.objects.create(
            organization=alice.organization, name="smart", provider=provider, model="m", input_price=1, output_price=10
        )


def paused(organization: Organization) -> Any:
    """A run that has no money left."""
    with scope(organization=organization):
        Budget.objects.create(organization=organization, name="cap", scope="run", limit_micro_usd=50)
    room = EngineRoom(organization)
    agent = {"type": "agent", "agent": "assistant", "model": "smart", "input": {"task": "Hi"}}
    run = room.start(workflow({"ask": agent}))
    room.work()
    return run


def test_nobody_types_a_model_that_the_chosen_provider_takes_away(tabs: Tabs, alice: Actor) -> None:
    page = tabs.open("/settings/models", alice)
    held: list[Any] = []
    page.route("**/settings/models?*", lambda route: held.append(route))  # noqa: PLW0108 - it takes no built-in
    model = page.get_by_label("Model", exact=True)

    page.get_by_label("Provider").select_option(label="Anthropic")
    expect(model).to_be_disabled()
    held[0].continue_()

    expect(model).to_have_value("claude-haiku-4-5")
    expect(model).to_be_enabled()


@pytest.mark.parametrize("width", [1440, 390])
def test_a_key_a_default_and_a_test(tabs: Tabs, alice: Actor, server: ChatServer, width: int) -> None:
    page = tabs.open("/settings/models", alice, width=width)

    expect(page.get_by_label("Address")).to_be_hidden()
    page.get_by_role("textbox", name="Key").fill(KEY)
    page.get_by_label("Provider").select_option(label="Anthropic")
    expect(page.get_by_role("link", name="console.anthropic.com/settings/keys")).to_be_visible()
    expect(page.get_by_label("Model", exact=True)).to_have_value("claude-haiku-4-5")
    page.get_by_label("Provider").select_option(label="Ollama or another OpenAI-compatible")
    expect(page.get_by_label("Model", exact=True)).to_have_value("")
    page.get_by_label("Address").fill(server.url)
    page.get_by_label("Model", exact=True).fill("llama3.2")
    assert_accessible(page)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Every agent that names no model asks llama3.2 from now on.")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Test llama3.2").click()

    expect(page.get_by_text("own/llama3.2 ·")).to_contain_text("11 tokens in, 7 out · price unknown")
    assert KEY not in page.content()
    assert server.keys == [f"Bearer {KEY}"] * 2
    assert_accessible(page)


def test_a_key_that_is_refused_says_so_beside_it(tabs: Tabs, alice: Actor, server: ChatServer) -> None:
    server.answer = lambda _: Answer(status=401, error={"error": {"message": "Incorrect API key provided"}})
    page = tabs.open("/settings/models?kind=openai_compatible", alice, width=390)

    page.get_by_label("Address").fill(server.url)
    page.get_by_role("textbox", name="Key").fill(KEY)
    page.get_by_label("Model", exact=True).fill("llama3.2")
    page.get_by_role("button", name="Test and use it").click()

    expect(page.get_by_text("does not take this key")).to_be_visible()
    expect(page.get_by_role("textbox", name="Key")).to_have_value("")
    expect(page.get_by_label("Address")).to_have_value(server.url)
    assert_accessible(page)


def test_a_run_that_a_budget_has_paused_goes_on_when_more_is_allowed(
    tabs: Tabs, alice: Actor, smart: ModelSetting
) -> None:
    run = paused(alice.organization)
    page = tabs.open(f"/runs/{run}", alice)
    expect(page.get_by_text("The budget 'cap' of $0.00005 has $0.00005 left")).to_be_visible()
    assert_accessible(page)

    page.get_by_role("button", name="Allow more…").click()
    page.get_by_label("Dollars more").fill("2.5")
    assert_accessible(page)
    page.get_by_role("button", name="Allow it and resume").click()

    expect(page.get_by_text("$2.50 more allowed, and resumed.")).to_be_visible()
    expect(page.get_by_role("dialog", name="Allow more")).to_be_hidden()
    expect(page.get_by_role("button", name="Allow more…")).to_be_hidden()
