"""The first model of an organization, from a key to an answer: on the page, and never with the key on it."""

import re
from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from apps.integrations.language_models.prices import known_models
from apps.integrations.language_models.providers import KINDS
from apps.integrations.language_models.resolving import default_name
from apps.integrations.models import ModelProvider, ModelSetting, Secret
from tests.fixtures import Actor, Browser, signed_in
from tests.language_models.chat_server import Answer, ChatServer
from tests.language_models.conftest import KEY, Desk

PAGE, BEGIN = "/settings/models", "/settings/first-model"


def text(answer: Any) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())).replace("&#x27;", "'")


@pytest.fixture
def sent(desk: Desk, server: ChatServer, settings: Any) -> dict[str, str]:
    """What a person fills in for a server that answers."""
    settings.ORCHESTRA_EGRESS_ALLOW |= {server.address}
    return {"kind": "openai_compatible", "key": KEY, "base_url": server.url, "model": "llama3.2"}


def kept(actor: Actor) -> tuple[list[str], list[tuple[str, bool]], int]:
    """The providers, the models with whether each is the default, and how many secrets there are."""
    with scope(organization=actor.organization):
        models = list(ModelSetting.objects.values_list("name", "is_default"))
        return list(ModelProvider.objects.values_list("name", flat=True)), models, Secret.objects.count()


NOTHING: Any = ([], [], 0)


def test_a_key_that_answers_is_kept_with_its_model_as_the_default(
    alice: Actor, sent: dict[str, str], server: ChatServer
) -> None:
    client = signed_in(alice)
    answer = client.post(BEGIN, sent)
    page = client.get(answer["Location"])

    assert (answer.status_code, answer["Location"]) == (302, f"{PAGE}?ready=llama3.2")
    assert kept(alice) == (["own"], [("llama3.2", True)], 1)
    assert server.keys == [f"Bearer {KEY}"]
    assert [one["model"] for one in server.asked] == ["llama3.2"]
    assert "Every agent that names no model asks llama3.2 from now on." in text(page)
    assert "llama3.2 answered “Hello” and is the default now." in text(page)
    assert 'action="/templates/market-brief/run"' in page.content.decode()
    assert KEY not in page.content.decode()


def test_a_key_that_is_refused_is_not_kept_and_the_page_says_what_to_do(
    alice: Actor, sent: dict[str, str], server: ChatServer
) -> None:
    server.answer = lambda _: Answer(status=401, error={"error": {"message": f"Incorrect API key: {KEY}"}})

    answer = signed_in(alice).post(BEGIN, sent)

    assert answer.status_code == 422
    assert "does not take this key. Copy the whole key once more; this one is not kept." in text(answer)
    assert "Incorrect API key: ****." in text(answer)
    assert server.url in answer.content.decode(), "what was typed is still there"
    assert KEY not in answer.content.decode()
    assert kept(alice) == NOTHING


def test_a_good_key_is_kept_where_only_the_model_does_not_answer(
    alice: Actor, sent: dict[str, str], server: ChatServer
) -> None:
    client = signed_in(alice)
    server.answer = lambda asked: (
        Answer() if asked["model"] == "right" else Answer(status=404, error={"error": {"message": "No such model"}})
    )

    wrong = client.post(BEGIN, {**sent, "model": "wrong"})
    again = client.post("/settings/model-providers/own/default", {"model": "wronger"})
    before = kept(alice)
    right = client.post("/settings/model-providers/own/default", {"model": "right"})

    for answer, typed in ((wrong, "wrong"), (again, "wronger")):
        assert answer.status_code == 422
        assert f"{typed} did not answer." in text(answer)
        assert f'value="{typed}"' in answer.content.decode()
        assert "No such model" in text(answer)
    assert before == (["own"], [], 1)
    assert right["Location"] == f"{PAGE}?ready=right"
    assert kept(alice) == (["own"], [("right", True)], 1)


def test_who_knows_better_takes_a_model_untested(alice: Actor, sent: dict[str, str], server: ChatServer) -> None:
    client = signed_in(alice)
    server.answer = lambda _: Answer(status=429, error={"error": {"code": "insufficient_quota", "message": "Pay"}})

    refused = client.post(BEGIN, sent)
    taken = client.post("/settings/model-providers/own/default", {"model": "llama3.2", "untested": "1"})

    assert "Its account has nothing left" in text(refused)
    assert taken.status_code == 302
    assert "llama3.2 is the default now." in text(client.get(taken["Location"]))
    assert len(server.asked) == 1


def test_an_address_where_nobody_answers_is_not_kept(alice: Actor, sent: dict[str, str], settings: Any) -> None:
    settings.ORCHESTRA_EGRESS_ALLOW |= {"127.0.0.1:9"}
    client = signed_in(alice)

    silent = client.post(BEGIN, {**sent, "base_url": "http://127.0.0.1:9/v1"})
    forbidden = client.post(BEGIN, {**sent, "base_url": "http://127.0.0.1:11434/v1"})

    assert "The connection to own/llama3.2 failed" in text(silent)
    assert "ORCHESTRA_EGRESS_ALLOW" in text(forbidden)
    assert 'id="id_base_url_error"' in forbidden.content.decode(), "it stands at the address"
    assert (silent.status_code, forbidden.status_code, kept(alice)) == (422, 422, NOTHING)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model", "", "This field is required."),
        ("kind", "nobody", "Select a valid choice."),
        ("key", "two\nlines", "A key is up to"),
        ("base_url", "nowhere", "Give an address that begins with"),
    ],
)
def test_what_cannot_be_stands_beside_its_field_and_asks_nobody(
    alice: Actor, sent: dict[str, str], server: ChatServer, field: str, value: str, said: str
) -> None:
    answer = signed_in(alice).post(BEGIN, {**sent, field: value})

    assert answer.status_code == 422
    assert said in text(answer)
    assert (server.asked, kept(alice)) == ([], NOTHING)


def test_a_second_click_finds_what_the_first_has_made(alice: Actor, sent: dict[str, str]) -> None:
    client = signed_in(alice)

    assert {client.post(BEGIN, sent)["Location"] for _ in range(2)} == {f"{PAGE}?ready=llama3.2"}
    assert kept(alice) == (["own"], [("llama3.2", True)], 1)


def test_the_page_begins_with_what_most_people_need(browser: Browser) -> None:
    page = browser.owner.get(PAGE).content.decode()
    chosen = browser.owner.get(f"{PAGE}?kind=anthropic").content.decode()
    unknown = browser.owner.get(f"{PAGE}?kind=<b>")

    assert "Use a model of your own" in page
    assert "platform.openai.com/api-keys" in page
    assert 'value="gpt-5-mini"' in page
    assert "console.anthropic.com/settings/keys" in chosen
    assert 'value="claude-haiku-4-5"' in chosen
    assert 'value="gpt-5-mini"' in unknown.content.decode()


def test_the_models_to_begin_with_exist() -> None:
    for kind in KINDS.values():
        assert not kind.begin_with or kind.begin_with in known_models(kind.name), kind.name


def test_a_provider_without_a_default_model_is_asked_for_it(browser: Browser) -> None:
    browser.owner.post(PAGE, {"kind": "openai", "key": KEY, "base_url": ""})

    page = text(browser.owner.get(PAGE))

    assert "Choose the default model" in page
    assert "with the key ****cdef" in page
    assert "Use a model of your own" not in page


def test_who_may_not_is_told_who_can(alice: Actor, browser: Browser, sent: dict[str, str], server: ChatServer) -> None:
    page = text(browser.viewer.get(PAGE))

    assert "No real model yet." in page
    assert "alice can add a key." in page
    assert "Test and use it" not in page
    assert browser.viewer.post(BEGIN, sent).status_code == 403
    assert (server.asked, kept(alice)) == ([], NOTHING)


def test_a_model_is_of_one_organization(alice: Actor, browser: Browser, sent: dict[str, str]) -> None:
    browser.owner.post(BEGIN, sent)

    assert "llama3.2" not in browser.stranger.get(f"{PAGE}?ready=llama3.2").content.decode()
    assert browser.stranger.post("/settings/model-providers/own/default", {"model": "m"}).status_code == 404
    with scope(organization=alice.organization):
        assert default_name() == "llama3.2"
    with scopes_disabled():
        assert ModelSetting.objects.count() == 1
