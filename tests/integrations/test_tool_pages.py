"""The catalogue of tools, as people use it."""

import html
import re

import pytest
from django_scopes import scope

from apps.integrations.models import OutboxMessage

HTMX = {"HX-Request": "true"}


def text(response):
    return html.unescape(re.sub(r"\s+", " ", response.content.decode()))


def test_the_catalogue_lists_every_tool_with_what_it_changes(browser):
    page = text(browser.viewer.get("/tools"))

    assert 'href="/tools/outbox.send"' in page
    assert "changes the world outside" in page


def test_the_catalogue_is_searched(browser):
    page = text(browser.owner.get("/tools?q=outbox&effect=write", headers=HTMX))

    assert re.findall(r'href="/tools/([^"]+)"', page) == ["outbox.send"]
    assert "No tool fits" in text(browser.owner.get("/tools?q=outbox&effect=read"))


def test_a_tool_shows_what_it_takes_and_what_a_crash_means(browser):
    page = text(browser.viewer.get("/tools/http.request"))

    assert "one of GET, HEAD" in page
    assert "After a crash in the middle of a call" in page
    assert "/v1/tools/http.request/invoke" in page


@pytest.mark.django_db(transaction=True)  # the call has a thread of its own
def test_trying_a_tool_calls_it_for_ones_own_organization(browser, organization, other_organization):
    sent = {"value:to": "ada@example.com", "value:subject": "Hi", "value:body": "<b>x</b>"}

    page = text(browser.owner.post("/tools/outbox.send", sent, headers=HTMX))

    assert 'data-status="completed"' in page
    with scope(organization=organization):
        assert OutboxMessage.objects.get().subject == "Hi"
    with scope(organization=other_organization):
        assert not OutboxMessage.objects.exists()


def test_a_call_that_fails_says_why(browser):
    page = text(browser.owner.post("/tools/http.request", {"value:url": "http://127.0.0.1:1/"}))

    assert 'data-status="failed"' in page
    assert '<div class="banner tone-failed">' in page


def test_input_that_does_not_fit_is_said_at_its_field(browser):
    answer = browser.owner.post("/tools/outbox.send", {"value:to": ""})

    assert answer.status_code == 422
    assert re.search(r'name="value:to"[^>]*aria-invalid="true"', text(answer))


def test_a_viewer_looks_and_calls_nothing(browser, organization):
    assert "Run once" not in text(browser.viewer.get("/tools/outbox.send"))
    assert browser.viewer.post("/tools/outbox.send", {"value:to": "a@b.c"}).status_code == 403
    with scope(organization=organization):
        assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize("path", ["/tools", "/tools/outbox.send"])
def test_nobody_goes_to_the_sign_in(browser, path):
    assert browser.anonymous.get(path).status_code == 302


def test_a_tool_that_is_not_there(browser):
    assert browser.owner.get("/tools/nothing").status_code == 404
