"""Providers, models and budgets in the settings: set up by a person, with no key ever on a page."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django_scopes import scope

from apps.integrations.language_models import registry
from apps.integrations.models import ModelProvider, ModelSetting, Secret
from apps.integrations.services import secrets
from apps.observability.models import Budget, BudgetAccount
from apps.observability.services import accounting
from apps.observability.services.accounting import Figures, Origin
from tests.fixtures import Actor, Browser, signed_in
from tests.language_models import spent
from tests.language_models.chat_server import Answer, ChatServer
from tests.language_models.conftest import KEY, Desk

HTMX = {"HX-Request": "true"}
OPENAI = "/settings/model-providers/openai"


def text(answer: Any) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def add(client: Client, **fields: str) -> Any:
    return client.post("/settings/models", {"kind": "openai", "key": KEY, "base_url": "", **fields})


# ---- providers and models ---------------------------------------------------------------------------


def test_without_a_provider_the_page_says_what_the_demo_model_is(browser: Browser) -> None:
    page = text(browser.viewer.get("/settings/models"))

    assert "No real model yet." in page
    assert "Test and use it" not in page, "a viewer adds nothing"
    assert "Test and use it" in text(browser.owner.get("/settings/models"))


def test_a_provider_is_added_and_its_models_are_offered_as_the_default(alice: Actor, browser: Browser) -> None:
    added = add(browser.owner)
    page = browser.owner.get(added["Location"]).content.decode()
    chosen = browser.owner.post(f"{OPENAI}/default", {"model": "gpt-4o-mini", "untested": "1"})

    assert added["Location"] == "/settings/models?added=openai"
    assert "openai</strong> is set up" in page
    assert '<option value="gpt-4o-mini">' in page
    assert KEY not in page
    assert "****cdef" in page
    assert chosen["Location"] == "/settings/models?ready=gpt-4o-mini"
    with scope(organization=alice.organization):
        setting = ModelSetting.objects.get()
        assert (setting.name, setting.is_default) == ("gpt-4o-mini", True)
    after = text(browser.owner.get("/settings/models"))
    assert "$0.15" in after
    assert "No real model yet" not in after


def test_what_is_wrong_stands_beside_its_field_and_the_key_is_not_sent_back(browser: Browser) -> None:
    answer = add(browser.owner, kind="openai_compatible", base_url="nowhere")

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Give an address that begins with https:// or http://." in page
    assert KEY not in page
    assert "OpenAI needs a key." in text(add(browser.owner, key=""))


def test_kinds_that_only_litellm_knows_stand_behind_the_others_by_their_own_names(browser: Browser) -> None:
    page = browser.owner.get("/settings/models").content.decode()
    well_known, _, others = page.partition('<optgroup label="Others (through litellm)">')

    assert ">Google Gemini</option>" in well_known
    assert '<option value="perplexity">Perplexity AI</option>' in others
    assert '<option value="azure">Azure</option>' in others


def test_an_address_that_was_not_seen_is_not_taken(alice: Actor, browser: Browser) -> None:
    add(browser.owner, base_url="https://typed-before.example/v1")

    with scope(organization=alice.organization):
        assert ModelProvider.objects.get().base_url == ""


def test_a_key_is_replaced_and_a_provider_is_removed_with_what_is_named(alice: Actor, browser: Browser) -> None:
    add(browser.owner)
    browser.owner.post(f"{OPENAI}/default", {"model": "gpt-4o", "untested": "1"})

    browser.owner.post(OPENAI, {"key": "sk-another-one-9999", "base_url": ""})
    moved = browser.owner.post(OPENAI, {"key": "", "base_url": "https://elsewhere.example/v1"})
    refused = browser.owner.post(f"{OPENAI}/remove")

    with scope(organization=alice.organization):
        assert secrets.opened(Secret.objects.get()) == "sk-another-one-9999"
    assert (moved.status_code, "Enter the key again" in text(moved)) == (422, True)
    assert (refused.status_code, "&#x27;gpt-4o&#x27;" in refused.content.decode()) == (409, True)
    assert browser.owner.post(f"{OPENAI}/remove", {"with_models": "on"}).status_code == 302
    with scope(organization=alice.organization):
        assert not ModelProvider.objects.exists()
        assert not Secret.objects.exists()


MODEL = {
    "name": "smart",
    "provider": "openai",
    "model": "gpt-4o",
    "fallbacks": "demo/scripted\n",
    "seconds": "60",
    "cache_seconds": "0",
    "options": '{"temperature": 0.1}',
    "input_price": "",
    "cached_price": "",
    "output_price": "",
}


def test_a_model_is_set_up_changed_and_removed(alice: Actor, browser: Browser) -> None:
    add(browser.owner)
    assert browser.owner.post("/settings/new-model", MODEL).status_code == 302

    page = browser.owner.get("/settings/models/smart").content.decode()
    changed = browser.owner.post(
        "/settings/models/smart", {**MODEL, "is_default": "on", "input_price": "1", "output_price": "2.5"}
    )

    assert "demo/scripted" in page
    assert "{&quot;temperature&quot;:0.1}" in page
    assert changed.status_code == 302
    with scope(organization=alice.organization):
        setting = ModelSetting.objects.get()
        assert (setting.fallbacks, setting.is_default, setting.output_price) == (["demo/scripted"], True, 2.5)
    assert browser.owner.post("/settings/models/smart/remove").status_code == 302
    with scope(organization=alice.organization):
        assert not ModelSetting.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("fallbacks", "nobody", "There is no model 'nobody'."),
        ("options", "[1]", "The options are an object."),
        ("options", "{", "This is not JSON."),
        ("name", "default", "'default' means something already"),
        ("input_price", "1", "A price of your own says both"),
        ("seconds", "0", "greater than or equal to 1"),
    ],
)
def test_faults_of_a_model_stand_in_its_form(browser: Browser, field: str, value: str, said: str) -> None:
    add(browser.owner)

    answer = browser.owner.post("/settings/new-model", {**MODEL, field: value})

    assert answer.status_code == 422
    assert said in text(answer).replace("&#x27;", "'")
    assert value in answer.content.decode(), "what was typed is still there"


def test_a_test_shows_the_answer_with_its_figures(desk: Desk, server: ChatServer, alice: Actor) -> None:
    desk.setting(desk.provider(server), input_price=1, output_price=10)
    client = signed_in(alice)

    part = client.post("/settings/models/smart/test", headers=HTMX)
    whole = client.post("/settings/models/smart/test")

    for answer in (part, whole):
        assert "Hello local/m ·" in text(answer)
        assert "11 tokens in, 7 out · $0.000081" in text(answer)
    assert "<html" not in part.content.decode()


def test_a_test_that_fails_says_what_the_provider_said(desk: Desk, server: ChatServer, alice: Actor) -> None:
    server.answer = lambda _: Answer(status=401, error={"error": {"message": "Incorrect <b>key</b>"}})
    desk.setting(desk.provider(server))

    answer = signed_in(alice).post("/settings/models/local/m/test", headers=HTMX)

    assert "Incorrect &lt;b&gt;key&lt;/b&gt;. Check the provider&#x27;s key" in answer.content.decode()


def test_strangers_see_and_change_nothing_of_it(alice: Actor, browser: Browser) -> None:
    spent.fill(alice.organization)

    assert "smart" not in browser.stranger.get("/settings/models").content.decode()
    for path in ("models/smart", "model-providers/smart", "budgets/smart"):
        assert browser.stranger.get(f"/settings/{path}").status_code == 404
        assert browser.viewer.get(f"/settings/{path}").status_code == 403
        assert browser.owner.get(f"/settings/{path}").status_code == 200
    assert browser.viewer.post("/settings/models", {"kind": "openai", "key": KEY}).status_code == 403


# ---- budgets ----------------------------------------------------------------------------------------

BUDGET = {
    "name": "cap",
    "limit": "1.5",
    "scope": "organization",
    "subject": "",
    "period": "total",
    "at_cap": "ask",
    "cheaper_model": "",
    "enabled": "on",
}


def spend(alice: Actor, micro_usd: int, **origin: Any) -> None:
    by = Origin(organization_id=alice.organization.pk, **origin)
    going = accounting.begin_call(by, model="smart", most=lambda: micro_usd, seconds=60).id
    accounting.end_call(going, Figures(cost_micro_usd=micro_usd))


def test_without_a_budget_the_page_says_what_that_means(browser: Browser) -> None:
    assert "No budget: models may be asked without end." in text(browser.viewer.get("/settings/budgets"))


def test_a_budget_is_added_shown_and_switched_off(alice: Actor, browser: Browser) -> None:
    assert browser.owner.post("/settings/new-budget", BUDGET).status_code == 302
    spend(alice, 300_000)

    page = text(browser.viewer.get("/settings/budgets"))
    off = {name: value for name, value in BUDGET.items() if name != "enabled"}
    with scope(organization=alice.organization):
        identifier = Budget.objects.get().pk

    assert "$1.50 in all for the whole organization." in page
    assert "the run pauses until somebody allows more" in page
    assert "20% of $1.50 spent" in page
    assert "Spent $0.30" in page
    assert "Left $1.20" in page
    assert browser.owner.post(f"/settings/budgets/{identifier}", off).status_code == 302
    assert "does not count" in text(browser.viewer.get("/settings/budgets"))


def test_more_is_allowed_for_one_of_many(alice: Actor, browser: Browser) -> None:
    browser.owner.post("/settings/new-budget", {**BUDGET, "scope": "agent"})
    spend(alice, 1_500_000, agent="writer")
    with scope(organization=alice.organization):
        identifier = Budget.objects.get().pk

    answer = browser.owner.post(f"/settings/budgets/{identifier}/allow", {"amount": "0.25", "subject": "writer"})
    wrong = browser.owner.post(f"/settings/budgets/{identifier}/allow", {"amount": "-1", "subject": "writer"})

    assert (answer.status_code, wrong.status_code) == (302, 422)
    assert "$0.25 left (with $0.25 more)" in text(browser.owner.get("/settings/budgets"))
    assert browser.viewer.post(f"/settings/budgets/{identifier}/allow", {"amount": "1"}).status_code == 403
    with scope(organization=alice.organization):
        assert BudgetAccount.objects.get().extra_micro_usd == 250_000


def test_faults_of_a_budget_stand_in_its_form(browser: Browser) -> None:
    for field, value, said in (
        ("limit", "-1", "greater than or equal to 0"),
        ("subject", "x", "has no subject"),
        ("at_cap", "cheaper", "Name the model that is asked at the cap."),
    ):
        answer = browser.owner.post("/settings/new-budget", {**BUDGET, field: value})
        assert (answer.status_code, said in text(answer)) == (422, True), field


# ---- usage ------------------------------------------------------------------------------------------


def test_usage_is_shown_by_what_asked_and_leads_to_the_calls_and_runs(alice: Actor, browser: Browser) -> None:
    spent.call(alice.organization, cost=1_500_000, workflow="brief", agent="writer")
    spent.call(alice.organization, cost=500, model="quick", is_priced=False)
    spent.call(alice.organization, cost=7, ago=20 * 86_400, model="old")

    page = browser.viewer.get("/usage").content.decode()
    workflows = browser.viewer.get("/usage?by=workflow&since=24h").content.decode()
    narrowed = text(browser.viewer.get("/usage?model=quick"))

    assert "$1.5005" in page
    assert "?since=7d&amp;by=model&amp;model=smart#calls" in page
    assert "old" not in text(browser.viewer.get("/usage")).split("Calls")[0]
    assert "/runs?q=workflow%3A%22brief%22+since%3A24h" in workflows
    assert "no workflow" in workflows
    assert "price unknown" in narrowed
    assert "$1.50" not in narrowed
    assert "No language model was asked" in text(browser.stranger.get("/usage"))


def test_what_the_address_says_wrongly_is_no_mistake_of_ours(browser: Browser) -> None:
    assert browser.owner.get("/usage?since=ever&by=moon&run=x&model=%00").status_code == 200
    assert browser.owner.get("/usage?cursor=x").status_code == 400


def test_the_file_has_the_same_sums_and_no_formula(alice: Actor, browser: Browser) -> None:
    spent.call(alice.organization, cost=1_000_001, agent="=cmd|' /C calc'!A0")

    answer = browser.viewer.get("/usage.csv?by=agent")

    assert answer["Content-Type"].startswith("text/csv")
    head, line = answer.content.decode().splitlines()
    assert head.startswith("agent,cost_usd,calls")
    assert line.startswith("'=cmd|' /C calc'!A0,1.000001,1")
    assert browser.stranger.get("/usage.csv?by=agent").content.decode().count("\n") == 1


class Named:
    """A model as a plugin would bring it."""

    name = "acme/<b>large</b>"
    description = "Answers & asks."
    is_demo = False

    async def answer(self, request: Any, hear: Any) -> Any:
        """Never asked here."""
        raise NotImplementedError


@pytest.fixture
def plugin() -> Iterator[None]:
    registry.register(Named())
    yield
    registry.unregister(Named.name)


def test_what_code_brings_is_listed_too(browser: Browser, plugin: None) -> None:
    page = browser.viewer.get("/settings/models").content.decode()

    assert '<code>demo/scripted</code> <span class="tag">default</span> <span class="tag">demo</span>' in page
    assert "<code>acme/&lt;b&gt;large&lt;/b&gt;</code>" in page
    assert "Answers &amp; asks." in page
