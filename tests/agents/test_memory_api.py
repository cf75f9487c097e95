"""Sessions and memories over the API."""

from typing import Any
from uuid import uuid4

import pytest
from django_scopes import scopes_disabled

from apps.agents.context import LocalContext
from apps.agents.models import AgentSession, Memory
from apps.common import redis
from apps.common.errors import Retryable
from apps.integrations import embeddings
from apps.integrations.language_models import Message, ToolCall

CALL = ToolCall(id="1", name="crm.find", arguments={"name": "Ada"})


@pytest.fixture
def ada(organization):
    """The session of a customer, with what is remembered of her."""
    ctx = LocalContext(organization.pk, agent="helper", session="ada")
    ctx.session.add(Message(role="user", content="Hello"), Message(role="assistant", tool_calls=(CALL,)))
    ctx.remember("Ada wants invoices by post.", kind="fact", importance=0.8)
    LocalContext(organization.pk, agent="helper").remember("Berlin is delivered to on Tuesdays.", tainted=True)
    with scopes_disabled():
        return AgentSession.objects.get(key="ada")


def erased(*keys: str) -> bool:
    with scopes_disabled():
        return not AgentSession.objects.filter(key__in=keys).exists()


def texts(answer: Any) -> list[str]:
    return [item["text"] for item in answer.json()["items"]]


def test_the_sessions_are_listed(alice, ada, charlie):
    (item,) = alice.client.get("/v1/sessions").json()["items"]

    assert (item["id"], item["key"], item["agent"], item["turns"]) == (str(ada.pk), "ada", "helper", 2)
    assert charlie.client.get("/v1/sessions").json()["items"] == []
    assert alice.client.get("/v1/sessions?agent=other").json()["items"] == []


def test_the_last_used_session_comes_first(alice, organization):
    for key in ("one", "two", "one"):
        LocalContext(organization.pk, session=key).session.add(Message(role="user", content="x"))

    assert [item["key"] for item in alice.client.get("/v1/sessions").json()["items"]] == ["one", "two"]
    first = alice.client.get("/v1/sessions?sort=created_at&limit=1").json()
    assert [item["key"] for item in first["items"]] == ["one"]
    assert first["next_cursor"]


def test_a_session_is_shown_with_its_turns(guard, ada):
    detail = guard("get", f"/v1/sessions/{ada.pk}").json()

    assert [turn["role"] for turn in detail["last_turns"]] == ["user", "assistant"]
    assert detail["last_turns"][1]["tool_calls"] == [{"id": "1", "name": "crm.find", "arguments": {"name": "Ada"}}]
    assert guard("get", "/v1/sessions/ada").json() == detail
    turns = guard("get", f"/v1/sessions/{ada.pk}/turns").json()["items"]
    assert turns == detail["last_turns"]


def test_a_session_is_not_hidden_by_one_that_has_its_id_for_a_key(alice, ada, organization):
    LocalContext(organization.pk, session=str(ada.pk)).session.add(Message(role="user", content="x"))

    assert alice.client.get(f"/v1/sessions/{ada.pk}").json()["key"] == "ada"


def test_a_session_is_erased(guard, alice, ada):
    guard("delete", f"/v1/sessions/{ada.pk}", needs="edit")

    assert erased("ada")
    assert not redis.client().exists(f"orchestra:session:{ada.pk}")
    assert texts(alice.client.get("/v1/memories")) == ["Berlin is delivered to on Tuesdays."]
    assert alice.client.delete(f"/v1/sessions/{ada.pk}").status_code == 404


def test_the_sessions_of_an_agent_are_erased(alice, bob, charlie, ada, organization):
    LocalContext(organization.pk, agent="other", session="bob").session.add(Message(role="user", content="x"))

    assert bob.client.delete("/v1/sessions?agent=helper").status_code == 403
    assert charlie.client.delete("/v1/sessions?agent=helper").json() == {"erased": 0}
    assert alice.client.delete("/v1/sessions?agent=helper").json() == {"erased": 1}
    assert erased("ada")
    assert not erased("bob")


def test_memories_are_listed_and_narrowed(alice, ada, charlie):
    def of(**narrowed: str) -> list[str]:
        return texts(alice.client.get("/v1/memories", narrowed))

    both = ["Berlin is delivered to on Tuesdays.", "Ada wants invoices by post."]
    assert of() == of(agent="helper") == both
    assert of(session="ada") == of(session=str(ada.pk)) == of(kind="fact") == both[1:]
    assert of(agent="other") == []
    assert charlie.client.get("/v1/memories").json()["items"] == []


def test_memories_are_searched_with_their_scores(alice, ada, charlie):
    (found,) = alice.client.get("/v1/memories?query=invoices for Ada").json()["items"]

    assert found["text"] == "Ada wants invoices by post."
    assert found["score"] == pytest.approx(found["relevance"] * found["recency"] * 0.8)
    assert found["why"].startswith("relevance")
    assert found["recalls"] == 0, "looking is not recalling"
    assert charlie.client.get("/v1/memories?query=invoices for Ada").json()["items"] == []
    assert alice.client.get("/v1/memories?query=invoices for Ada&kind=note").json()["items"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("kind=guess", 400), ("session=nobody", 404), ("query=x&cursor=abc", 400), ("query=x&sort=created_at", 400),
        ("query=" + "x" * 1_001, 400), ("limit=0", 400), ("query=%00", 400), ("sort=text", 400),
    ],
)  # fmt: skip
def test_a_senseless_question_is_said_to_be_one(alice, query, status):
    answer = alice.client.get(f"/v1/memories?{query}")

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


def test_a_session_of_another_organization_is_not_found_in_a_filter(charlie, ada):
    for path in (f"/v1/memories?session={ada.pk}", "/v1/memories?session=ada", "/v1/memories?query=x&session=ada"):
        assert charlie.client.get(path).status_code == 404
    assert charlie.client.delete(f"/v1/memories?session={ada.pk}").status_code == 404


def test_a_memory_is_erased(guard, alice, ada, in_scope):
    memory = Memory.objects.get(kind="fact")
    assert guard("get", f"/v1/memories/{memory.pk}").json()["session"] == "ada"

    guard("delete", f"/v1/memories/{memory.pk}", needs="edit")

    assert not Memory.objects.filter(pk=memory.pk).exists()
    assert alice.client.delete(f"/v1/memories/{memory.pk}").status_code == 404
    assert alice.client.get(f"/v1/memories/{uuid4()}").status_code == 404


@pytest.mark.parametrize(("query", "count"), [("agent=helper", 2), ("session=ada", 1), ("agent=other&session=ada", 0)])
def test_all_memories_of_an_agent_or_a_session_are_erased(alice, bob, ada, query, count):
    assert bob.client.delete(f"/v1/memories?{query}").status_code == 403
    assert alice.client.delete(f"/v1/memories?{query}").json() == {"erased": count}
    assert len(texts(alice.client.get("/v1/memories"))) == 2 - count


@pytest.mark.parametrize("path", ["/v1/memories", "/v1/memories?agent=", "/v1/sessions", "/v1/sessions?agent="])
def test_nobody_erases_everything_by_forgetting_a_word(alice, ada, path):
    answer = alice.client.delete(path)

    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_required")
    assert len(texts(alice.client.get("/v1/memories"))) == 2


class Away:
    name, description, least = "test/away", "Does not answer.", 0.0

    async def embed(self, texts):
        raise Retryable("The provider is overloaded.")


def test_a_provider_of_embeddings_that_is_away_is_said(alice, ada, settings):
    embeddings.register(Away())
    settings.ORCHESTRA_EMBEDDINGS = Away.name
    try:
        answer = alice.client.get("/v1/memories?query=x")
    finally:
        embeddings.registry.unregister(Away.name)

    assert (answer.status_code, answer.json()["code"]) == (503, "embeddings_unavailable")
