"""The pages of sessions and memories."""

import pytest
from django_scopes import scopes_disabled

from apps.agents.context import LocalContext
from apps.agents.models import AgentSession, Memory
from apps.integrations.language_models import Message

HTMX = {"HX-Request": "true"}


@pytest.fixture
def ada(organization):
    ctx = LocalContext(organization.pk, agent="helper", session="ada")
    ctx.session.add(Message(role="user", content="Hello <b>"), Message(role="assistant", content="Hello, Ada"))
    ctx.remember("Ada wants invoices by post.")
    LocalContext(organization.pk, agent="helper").remember("Berlin is delivered to on Tuesdays.")
    with scopes_disabled():
        return AgentSession.objects.get(key="ada")


def test_nothing_yet_is_said_with_what_to_do(browser):
    assert "No sessions yet" in browser.owner.get("/sessions").text
    assert "Nothing is remembered yet" in browser.owner.get("/memories").text
    assert "No session fits" in browser.owner.get("/sessions?q=nobody").text
    assert "Nothing that is remembered has to do" in browser.owner.get("/memories?q=nobody").text


def test_sessions_are_for_members_only(browser, ada):
    assert "ada" in browser.viewer.get("/sessions").text
    assert "No sessions yet" in browser.stranger.get("/sessions").text
    assert browser.stranger.get(f"/sessions/{ada.pk}").status_code == 404
    assert browser.stranger.post(f"/sessions/{ada.pk}/erase").status_code == 404
    assert browser.anonymous.get(f"/sessions/{ada.pk}").status_code == 302


def test_a_search_answers_with_the_list_alone(browser, ada):
    page = browser.owner.get("/sessions?q=ad", headers=HTMX).text
    assert "<html" not in page
    assert f"/sessions/{ada.pk}" in page
    assert f"/sessions/{ada.pk}" not in browser.owner.get("/sessions?q=bob", headers=HTMX).text


def test_a_session_is_a_conversation(browser, ada):
    page = browser.viewer.get(f"/sessions/{ada.pk}").text

    assert page.index("Hello &lt;b&gt;") < page.index("Hello, Ada")
    assert "Ada wants invoices by post." in page
    assert "Erase" not in page, "a viewer erases nothing"


def test_a_long_session_is_turned_back_page_by_page(browser, organization, ada):
    ctx = LocalContext(organization.pk, agent="helper", session="ada")
    ctx.session.add(*(Message(role="user", content=f"Message {number}.") for number in range(60)))

    last = browser.owner.get(f"/sessions/{ada.pk}")
    earlier = browser.owner.get(f"/sessions/{ada.pk}?before={last.context['earlier']}")

    assert "Message 59." in last.text
    assert "Hello, Ada" not in last.text
    assert "Hello, Ada" in earlier.text
    assert earlier.context["earlier"] is None
    assert browser.owner.get(f"/sessions/{ada.pk}?before=x").status_code == 200


def test_a_session_is_erased_after_a_question(browser, ada):
    assert "Erase this session?" in browser.owner.get(f"/sessions/{ada.pk}").text
    assert browser.viewer.post(f"/sessions/{ada.pk}/erase").status_code == 403

    answer = browser.owner.post(f"/sessions/{ada.pk}/erase", follow=True)

    assert "The session ada was erased." in answer.text
    assert browser.owner.post(f"/sessions/{ada.pk}/erase").status_code == 404, "the second click"
    with scopes_disabled():
        assert not AgentSession.objects.exists()


def test_all_sessions_of_an_agent_are_erased_after_a_question(browser, ada):
    assert "Erase all sessions of this agent?" in browser.owner.get("/sessions?agent=helper").text

    assert browser.owner.post("/sessions/erase", {"agent": ""}).status_code == 400
    assert "1 session of helper erased." in browser.owner.post("/sessions/erase", {"agent": "helper"}, follow=True).text


def test_memories_show_their_scores_where_they_are_searched(browser, ada):
    page = browser.viewer.get("/memories?q=invoices for Ada")

    (found,) = page.context["found"]
    assert found.memory.text == "Ada wants invoices by post."
    assert f"{found.recalled.score:.3f}" in page.text
    assert found.recalled.why in page.text
    assert "Relevance" not in browser.viewer.get("/memories").text
    assert "Nothing that is remembered" in browser.stranger.get("/memories?q=invoices for Ada").text


def test_memories_are_narrowed_to_an_agent_and_a_session(browser, ada):
    def found(query):
        return {one.memory.text for one in browser.owner.get(f"/memories?{query}").context["found"]}

    assert len(found("agent=helper")) == 2
    assert found(f"session={ada.pk}") == {"Ada wants invoices by post."}
    assert found("kind=fact") == set()
    assert len(found("kind=guess")) == 2
    assert browser.owner.get("/memories?session=nobody").status_code == 404


def test_a_memory_is_erased(browser, ada):
    with scopes_disabled():
        first, second = Memory.objects.order_by("pk")
    assert browser.viewer.post(f"/memories/{first.pk}/erase").status_code == 403
    assert browser.stranger.post(f"/memories/{first.pk}/erase").status_code == 404

    part = browser.owner.post(f"/memories/{first.pk}/erase", headers=HTMX)
    whole = browser.owner.post(f"/memories/{second.pk}/erase", {"agent": "helper"})

    assert "The memory was erased." in part.headers["HX-Trigger"]
    assert whole.headers["Location"] == "/memories?agent=helper"
    with scopes_disabled():
        assert not Memory.objects.exists()


def test_all_memories_of_a_session_are_erased_after_a_question(browser, ada):
    assert "Erase all of these memories?" in browser.owner.get(f"/memories?session={ada.pk}").text

    assert browser.owner.post("/memories/erase").status_code == 400
    assert browser.owner.post("/memories/erase", {"session": str(ada.pk)}, follow=True).status_code == 200

    with scopes_disabled():
        assert [memory.text for memory in Memory.objects.all()] == ["Berlin is delivered to on Tuesdays."]


def test_the_pages_of_agents_lead_there(browser):
    assert 'href="/sessions"' in browser.owner.get("/agents").text
    assert 'href="/memories?agent=echo"' in browser.owner.get("/agents/echo").text
