"""The pages on which people write agents, look at their versions, and talk with them."""

import html
import re

import pytest
from django_scopes import scope

from apps.agents import selectors
from apps.agents.forms import fields_of
from apps.agents.llm.spec import AgentSpec
from apps.agents.models import AgentVersion
from apps.agents.services.definitions import save_agent
from apps.agents.services.starts import STARTS
from apps.common import yaml
from apps.integrations.language_models import registry as models
from tests.agents.parrot import Parrot, said

HTMX = {"HX-Request": "true"}
EVERYTHING = {
    "title": "A guide",
    "description": "Guides.",
    "instructions": "You guide.\nGently.",
    "model": "demo/scripted",
    "options": {"seconds": 0},
    "capabilities": ["guide", "show"],
    "tools": [{"tool": "demo.search"}, {"tool": "outbox.send", "approval": "always", "assignees": ["bob", "ada"]}],
    "agents": ["assistant", {"agent": "echo", "approval": "always"}],
    "handoffs": [{"agent": "echo", "approval": "never", "assignees": ["bob"]}],
    "input_schema": {"type": "object"},
    "output_schema": {"type": "object", "required": ["a"]},
    "memory": {"recall": 3, "reflect": True},
    "limits": {"turns": 5, "tool_calls": 6, "tokens": 700, "cost_usd": 0.25},
    "guardrails": {
        "pii": "redact",
        "blocked": ["a, b", "c"],
        "judge": {"question": "Good?", "model": "demo/scripted"},
        "retries": 1,
    },
}


@pytest.fixture
def guide(alice):
    return saved(alice, EVERYTHING)


def saved(actor, document, name="guide", by="user:alice"):
    with scope(organization=actor.organization):
        return save_agent(organization=actor.organization, name=name, document=document, by=by).version


def newest(actor, name="guide"):
    with scope(organization=actor.organization):
        return selectors.newest_version(name)


def form(document, **more):
    """What a browser sends of the form that shows this document."""
    return {**fields_of(AgentSpec.model_validate(document)), "shown": "form", "act": "save", **more}


def text(response):
    return html.unescape(re.sub(r"\s+", " ", response.content.decode()))


# ---- writing --------------------------------------------------------------------------------------


def test_an_agent_is_made_in_the_form(browser, alice):
    answer = browser.owner.post("/agents/new", form(EVERYTHING, name="guide", message="The first."))

    assert (answer.status_code, answer.headers["Location"]) == (302, "/agents/guide")
    made = newest(alice)
    assert made.document == EVERYTHING
    assert (made.number, made.message, made.created_by) == (1, "The first.", "user:alice")


def test_the_form_changes_nothing_that_nobody_has_changed(browser, alice, guide):
    browser.owner.post("/agents/guide/edit", form(EVERYTHING, over="1"))

    assert newest(alice).number == 1


def test_every_field_shows_what_the_agent_has(browser, guide):
    page = text(browser.owner.get("/agents/guide/edit"))

    for value in ("A guide", "You guide. Gently.", "guide, show", "bob, ada", "a, b c", "Good?", "0.25", "700"):
        assert value in page
    for tool in ("demo.search", "outbox.send"):
        assert f'name="tools" value="{tool}" checked' in page
    assert re.search(r'aria-label="When a person has to agree to outbox.send">.*?value="always" selected', page)
    assert 'name="agents" value="assistant" checked' in page
    assert 'name="handoffs" value="echo" checked' in page
    assert re.search(r'aria-label="When a person has to agree to echo being asked">.*?value="always" selected', page)
    assert re.search(r'agree to echo being left the task">.*?value="never" selected', page)


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(browser, alice):
    sent = form(EVERYTHING, name="9 lives", turns="many", cost_usd="-1", model="gpt-0", output_schema="{", tools="nope")

    answer = browser.owner.post("/agents/new", {**sent, "output_schema": "{}"})
    broken = browser.owner.post("/agents/new", sent, headers=HTMX)

    page = text(answer)
    assert answer.status_code == 422
    assert 'id="f-name-error"' in page  # the name first, as nothing can be looked for under it
    assert 'value="many"' in page
    assert broken.status_code == 200
    assert "<html" not in text(broken)
    assert 'id="f-output_schema-error"' in text(broken)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"turns": "many"}, "turns"),
        ({"turns": "0"}, "turns"),
        ({"cost_usd": "-1"}, "cost_usd"),
        ({"tokens": "1.5"}, "tokens"),
        ({"model": "gpt-0"}, "model"),
        ({"judge_question": "Good?", "judge_model": "gpt-0"}, "judge_model"),
        ({"judge_question": "", "judge_model": "demo/scripted"}, "judge_question"),
        ({"tools": ["nope"]}, "tools"),
        ({"agents": ["nope"]}, "agents"),
        ({"handoffs": ["nope"]}, "agents"),
        ({"output": "json", "output_schema": ""}, "output_schema"),
        ({"output": "json", "output_schema": '{"type": "objekt"}'}, "output_schema"),
        ({"input_schema": "[1"}, "input_schema"),
        ({"options": "[1]"}, "options"),
        ({"blocked": "x" * 201}, "blocked"),
        ({"pii": "perhaps"}, "pii"),
        ({"recall": "99"}, "recall"),
    ],
)
def test_each_fault_has_a_field(browser, wrong, field):
    answer = browser.owner.post("/agents/new", form({"instructions": "You guide."}, name="guide", **wrong))

    assert answer.status_code == 422
    assert f'id="f-{field}-error"' in text(answer)
    assert f'href="#f-{field}"' in text(answer)


def test_a_name_that_is_taken_is_said_at_the_name(browser, guide):
    for name in ("guide", "assistant", "new"):
        answer = browser.owner.post("/agents/new", form({}, name=name, instructions="Mine."))

        assert answer.status_code == 422
        assert 'id="f-name-error"' in text(answer)


def test_the_form_and_yaml_carry_each_other(browser):
    as_yaml = text(browser.owner.post("/agents/new", form(EVERYTHING, name="guide", act="yaml"), headers=HTMX))
    text_of_it = re.search(
        r'name="text"[^>]*>(.*?)</textarea>',
        html.unescape(
            browser.owner.post("/agents/new", form(EVERYTHING, name="guide", act="yaml"), headers=HTMX).content.decode()
        ),
        re.DOTALL,
    )[1]
    back = browser.owner.post(
        "/agents/new", {"name": "guide", "shown": "yaml", "text": text_of_it, "act": "form"}, headers=HTMX
    )

    assert 'name="shown" value="yaml"' in as_yaml
    assert yaml.loads(text_of_it) == EVERYTHING
    assert "bob, ada" in text(back)
    assert 'name="shown" value="form"' in text(back)


def test_yaml_that_is_none_stays_as_it_was_typed(browser):
    for wrong in ("a: [", "limits: {turns: 0}", "- 1", "x" * 10):
        sent = {"name": "guide", "shown": "yaml", "text": wrong, "act": "form"}
        answer = browser.owner.post("/agents/new", sent, headers=HTMX)

        assert answer.status_code == 200
        assert wrong in text(answer)
        assert "Not yet." in text(answer)


def test_a_file_that_was_exported_can_be_pasted(browser, alice):
    file = yaml.dumps({"name": "other", "agent": EVERYTHING})

    browser.owner.post("/agents/new", {"name": "guide", "shown": "yaml", "text": file, "act": "save"})

    assert newest(alice).document == EVERYTHING


def test_who_saves_over_a_newer_version_is_shown_what_changed_and_decides(browser, alice, guide):
    saved(alice, EVERYTHING | {"instructions": "Theirs."}, by="user:bob")
    mine = form(EVERYTHING | {"instructions": "Mine."}, over="1")

    refused = browser.owner.post("/agents/guide/edit", mine, headers=HTMX)
    assert newest(alice).document["instructions"] == "Theirs."
    page = text(refused)
    assert "Somebody else has saved version 2" in page
    assert "by bob" in page
    assert "+instructions: Theirs." in page
    assert "+instructions: Mine." in page
    assert ">Mine.</textarea>" in page

    browser.owner.post("/agents/guide/edit", {**mine, "act": "over:2"})
    assert (newest(alice).number, newest(alice).document["instructions"]) == (3, "Mine.")


def test_a_tool_that_is_gone_can_be_taken_out(browser, alice, guide):
    with scope(organization=alice.organization):
        AgentVersion.objects.filter(pk=guide.pk).update(document=EVERYTHING | {"tools": [{"tool": "gone.tool"}]})

    page = text(browser.owner.get("/agents/guide/edit"))

    assert 'value="gone.tool" checked' in page
    assert "There is no such tool." in page


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_each_example_can_be_saved_as_it_is(browser, alice, start):
    page = text(browser.owner.get(f"/agents/new?from={start.name}"))
    assert f'value="{start.name}"' in page
    assert start.hint in page

    browser.owner.post("/agents/new", form(start.document, name=start.name))

    assert newest(alice, start.name).document == start.document


def test_the_default_model_is_named(browser):
    assert "which is <code>demo/scripted</code> now" in text(browser.owner.get("/agents/new"))


def test_what_is_written_is_given_as_a_document_to_try_it(browser):
    given = browser.owner.post("/agents/new/document", form(EVERYTHING, name="guide"))
    refused = browser.owner.post(
        "/agents/new/document", form({"model": "gpt-0"}), headers={"Accept": "application/json"}
    )

    assert given.json() == {"agent": EVERYTHING}
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/model")


# ---- looking --------------------------------------------------------------------------------------


def test_the_catalogue_has_it_first_and_marks_it(browser, guide):
    page = text(browser.viewer.get("/agents"))

    assert re.findall(r'href="/agents/([^"/]+)" data-row', page)[0] == "guide"
    assert ">LLM</span>" in page
    assert "/agents/new" not in page, "a viewer makes none"
    assert "/agents/new" in text(browser.owner.get("/agents"))
    assert "guide" not in re.findall(r'href="/agents/([^"/]+)" data-row', text(browser.stranger.get("/agents")))


def test_the_page_of_it_says_what_it_may_do_and_who_made_it(browser, guide):
    page = text(browser.viewer.get("/agents/guide"))

    for words in ("You guide.", "when it has read others' words", "always: bob, ada", "$0.25", "Good?", "by alice"):
        assert words in page
    assert "/agents/guide/export" in page
    assert "/agents/guide/edit" not in page
    for address in ("edit", "versions", "playground", "export"):
        assert f"/agents/guide/{address}" in text(browser.owner.get("/agents/guide"))


def test_it_is_run_once_from_its_page(transactional_db, browser, alice):
    parrot = Parrot(said("Go left."))
    models.register(parrot)
    saved(alice, {"model": parrot.name})

    page = text(browser.owner.post("/agents/guide", {"value:task": "Where to?"}, headers=HTMX))

    models.unregister(parrot.name)
    assert "Go left." in page


def test_two_versions_are_compared(browser, alice, guide):
    saved(alice, EVERYTHING | {"instructions": "Better."})
    saved(alice, EVERYTHING | {"instructions": "Best."})

    page = text(browser.viewer.get("/agents/guide/versions"))
    part = text(browser.viewer.get("/agents/guide/versions?before=1&after=2", headers=HTMX))

    assert "+instructions: Best." in page
    assert "<html" not in part
    assert "+instructions: Better." in part
    assert browser.viewer.get("/agents/guide/versions?before=x&after=99").status_code == 200


def test_an_old_version_comes_back_as_a_new_one(browser, alice, guide):
    saved(alice, {"instructions": "Worse."})

    answer = browser.owner.post("/agents/guide/versions/1/restore")
    browser.owner.post("/agents/guide/versions/1/restore")  # the second click

    assert answer.headers["Location"] == "/agents/guide/versions"
    restored = newest(alice)
    assert (restored.number, restored.document, restored.message) == (3, EVERYTHING, "As in version 1.")


def test_it_is_a_file(browser, guide):
    answer = browser.viewer.get("/agents/guide/export")

    assert yaml.loads(answer.content) == {"name": "guide", "agent": EVERYTHING}
    assert answer["Content-Disposition"] == 'attachment; filename="guide.yaml"'


def test_it_is_archived(browser, alice, guide):
    assert browser.viewer.post("/agents/guide/archive").status_code == 403

    assert browser.owner.post("/agents/guide/archive").headers["Location"] == "/agents"

    assert newest(alice) is None
    assert browser.owner.get("/agents/guide").status_code == 404


def test_nobody_else_sees_any_of_it_and_a_viewer_writes_and_says_nothing(browser, guide):
    for path in ("", "/edit", "/versions", "/playground", "/export"):
        assert browser.owner.get(f"/agents/guide{path}").status_code == 200
        assert browser.stranger.get(f"/agents/guide{path}").status_code == 404
    for path in ("/edit", "/playground"):
        assert browser.viewer.get(f"/agents/guide{path}").status_code == 403
    for path in ("/versions/1/restore", "/archive", "/edit"):
        assert browser.stranger.post(f"/agents/guide{path}").status_code == 404
        assert browser.viewer.post(f"/agents/guide{path}").status_code == 403
    assert browser.viewer.post("/agents/new/document", form({})).status_code == 403
