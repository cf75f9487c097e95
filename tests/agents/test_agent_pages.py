"""The catalogue of agents, as people use it."""

import html
import re

import pytest

HTMX = {"HX-Request": "true"}


def text(response):
    return html.unescape(re.sub(r"\s+", " ", response.content.decode()))


def test_the_catalogue_lists_every_agent_with_what_it_can_do(browser):
    page = text(browser.viewer.get("/agents"))

    assert 'href="/agents/text_processor"' in page
    assert 'href="?capability=sentiment_analysis"' in page


def test_the_catalogue_keeps_the_sample_apart_and_its_cards_short(browser):
    page = text(browser.viewer.get("/agents"))
    usual, _, sample = page.partition("Nodes of the sample")

    assert "/agents/data_analyzer" in usual
    assert "row_count" not in page
    assert "The older name of <code>research</code>" in usual
    assert "/agents/GetUserDataNode" in sample
    assert "/agents/GetUserDataNode" not in usual


@pytest.mark.parametrize("query", ["q=sentiment analysis", "q=text_pro", "capability=text_summary"])
def test_the_catalogue_is_searched_by_words_and_capability(browser, query):
    page = text(browser.owner.get(f"/agents?{query}", headers=HTMX))

    assert "<html" not in page
    assert re.findall(r'href="/agents/([^"]+)"', page) == ["text_processor"]


def test_a_search_without_a_result_says_so(browser):
    assert "No agent fits" in text(browser.owner.get("/agents?q=zzz"))


def test_an_agent_shows_what_it_takes(browser):
    page = text(browser.viewer.get("/agents/text_processor"))

    assert "one of sentiment_analysis, text_summary" in page
    assert "whole number, 1 to 100" in page
    assert "curl -s http://testserver/v1/agents/execute" in page


def test_trying_an_agent_shows_its_answer(browser):
    sent = {"value:task_type": '"sentiment_analysis"', "value:text": "I love this wonderful day."}

    page = text(browser.owner.post("/agents/text_processor", sent, headers=HTMX))

    assert "<html" not in page
    assert 'data-status="completed"' in page
    assert '"positive"' in page
    assert "I love this wonderful day." in page.split("curl -s")[1]


def test_an_agent_that_takes_anything_is_tried_with_json(browser):
    page = text(browser.owner.post("/agents/echo", {"value:": '{"a": [1, 2]}'}))

    assert 'data-status="completed"' in page
    assert '"a"' in page


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"value:task_type": '"sentiment_analysis"', "value:max_keywords": "ten"}, "not a whole number"),
        ({"value:task_type": '"sentiment_analysis"', "value:text": "x", "value:max_keywords": "500"}, "100"),
    ],
)
def test_input_that_does_not_fit_is_said_at_its_field(browser, sent, said):
    whole = browser.owner.post("/agents/text_processor", sent)
    part = browser.owner.post("/agents/text_processor", sent, headers=HTMX)

    assert (whole.status_code, part.status_code) == (422, 200)
    for answer in (whole, part):
        assert said in text(answer)
        assert re.search(r'name="value:max_keywords"[^>]*aria-invalid="true"', text(answer))


def test_a_viewer_looks_and_runs_nothing(browser):
    page = text(browser.viewer.get("/agents/echo"))

    assert "Run once" not in page
    assert browser.viewer.post("/agents/echo", {"value:": "1"}).status_code == 403


def test_an_agent_that_is_not_there(browser):
    assert browser.owner.get("/agents/nobody").status_code == 404


@pytest.mark.parametrize("path", ["/agents", "/agents/echo"])
def test_nobody_goes_to_the_sign_in(browser, path):
    assert browser.anonymous.get(path).status_code == 302


def test_the_older_address_still_runs_an_agent(alice):
    answer = alice.client.post("/agents/execute", {"agent_type": "echo", "input_data": 1}, format="json")

    assert answer.status_code == 200
