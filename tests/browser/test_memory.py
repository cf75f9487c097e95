"""Finding and erasing what agents remember, in Chromium."""

import pytest
from django_scopes import scopes_disabled
from playwright.sync_api import expect

from apps.agents.context import LocalContext
from apps.agents.models import AgentSession, Memory
from apps.integrations.language_models import Message


@pytest.fixture
def ada(alice):
    ctx = LocalContext(alice.organization.pk, agent="helper", session="ada")
    ctx.session.add(Message(role="user", content="Hello"), Message(role="assistant", content="Hello, Ada"))
    ctx.remember("Ada wants invoices by post.")
    ctx.remember("Berlin is delivered to on Tuesdays.")
    with scopes_disabled():
        return AgentSession.objects.get()


def test_a_memory_is_found_while_typing_and_erased_after_a_question(tabs, alice, ada):
    page = tabs.open("/agents", alice)
    page.get_by_role("link", name="Memories").click()
    page.get_by_role("searchbox").press_sequentially("invoices for Ada")
    expect(page.get_by_role("columnheader", name="Relevance")).to_be_visible()
    expect(page.get_by_text("Berlin is delivered")).to_have_count(0)

    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Erase: Ada wants").click()

    expect(page.get_by_text("Ada wants invoices by post.")).to_have_count(0)
    expect(page.get_by_text("The memory was erased.")).to_be_visible()
    with scopes_disabled():
        assert [memory.text for memory in Memory.objects.all()] == ["Berlin is delivered to on Tuesdays."]


def test_a_session_is_read_and_erased_after_a_question(tabs, alice, ada):
    page = tabs.open("/sessions", alice)
    page.get_by_role("link", name="ada").click()
    expect(page.get_by_text("Hello, Ada")).to_be_visible()

    page.get_by_role("button", name="Erase", exact=True).click()
    dialog = page.get_by_role("dialog", name="Erase this session?")
    expect(dialog.get_by_text("2 turns and 2 memories")).to_be_visible()
    dialog.get_by_role("button", name="Erase", exact=True).click()

    expect(page.get_by_text("No sessions yet")).to_be_visible()
    expect(page.get_by_text("The session ada was erased.")).to_be_visible()
    with scopes_disabled():
        assert not Memory.objects.exists()
