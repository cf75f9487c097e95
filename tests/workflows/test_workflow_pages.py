"""The list of workflows and the page of one, in the browser."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django_scopes import scope

from apps.workflows import selectors
from apps.workflows.models import Run
from apps.workflows.services.drafts import Content, draft_of, save_draft
from apps.workflows.services.schedules import Plan, add_schedule
from tests.workflows.listed import listed, saved

INPUTS = {
    "type": "object",
    "properties": {"topic": {"type": "string"}, "days": {"type": "integer", "default": 3}},
    "required": ["topic"],
    "additionalProperties": False,
}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def brief(organization):
    return saved(organization, "market-brief", title="Market brief", description="Who sells what.", inputs=INPUTS)


def test_the_list_is_for_members_and_shows_their_workflows_only(browser, brief):
    assert "Market brief" in browser.viewer.get("/workflows").text
    assert "No workflows yet" in browser.stranger.get("/workflows").text
    assert browser.anonymous.get("/workflows").status_code == 302


def test_a_row_says_how_a_workflow_has_been_doing(browser, brief):
    listed(brief, "failed", took=timedelta(seconds=90))
    listed(brief, count=3, took=timedelta(seconds=14), age=timedelta(hours=1))
    listed(brief, "cancelled", age=timedelta(hours=2))

    (row,) = browser.owner.get("/workflows").context["rows"]

    assert [dot.status for dot in row.record.dots] == ["cancelled", "completed", "completed", "completed", "failed"]
    assert (row.record.success, row.record.p95) == (75, timedelta(seconds=14))


def test_a_row_says_when_it_runs_next_and_what_waits_to_be_published(browser, brief, organization):
    with scope(organization=organization):
        plan = Plan(cron="0 9 * * *", input={"topic": "x"})
        add_schedule(organization=organization, workflow=brief, name="daily", plan=plan, by="x")
        save_draft(draft_of(brief), Content({"name": "market-brief"}), by="x")

    (row,) = browser.owner.get("/workflows").context["rows"]

    assert [schedule.name for schedule in row.schedules] == ["daily"]
    assert row.has_draft


def test_a_search_finds_names_and_titles_and_answers_with_the_list_alone(browser, brief, organization):
    saved(organization, "triage")

    part = browser.owner.get("/workflows?q=BRIEF", headers=HTMX).text

    assert "Market brief" in part
    assert "triage" not in part
    assert "<html" not in part
    assert "No workflow has this in its name" in browser.owner.get("/workflows?q=nothing").text


def test_the_page_shows_the_workflow_and_only_to_its_organization(browser, brief):
    listed(brief, "failed")

    page = browser.viewer.get("/workflows/market-brief").text

    for part in ("Market brief", "Who sells what.", "The channel #launch does not exist.", "curl -s -X POST"):
        assert part in page
    assert browser.stranger.get("/workflows/market-brief").status_code == 404
    assert browser.anonymous.get("/workflows/market-brief").status_code == 302


def test_programs_get_the_same_address_as_json(alice, brief):
    assert alice.client.get("/workflows/market-brief").json()["name"] == "market-brief"


def test_who_may_only_look_sees_no_button_and_is_refused(browser, brief):
    pages = [browser.viewer.get(path).text for path in ("/workflows", "/workflows/market-brief")]

    for word in ('data-opens="run-workflow"', 'id="run-it"', 'data-opens="import"', "/archive"):
        assert not any(word in page for page in pages), word
    for path in ("market-brief/run", "market-brief/archive", "market-brief/versions/1/publish"):
        assert browser.viewer.post(f"/workflows/{path}").status_code == 403
        assert browser.stranger.post(f"/workflows/{path}").status_code == 404
    assert browser.viewer.post("/workflow-imports").status_code == 403


def test_a_run_is_started_with_what_the_form_asked_for(browser, brief, organization):
    form = browser.owner.get("/workflows/market-brief/run", headers=HTMX).text
    assert 'name="value:topic"' in form
    assert 'value="3"' in form

    answer = browser.owner.post(
        "/workflows/market-brief/run", {"value:topic": "heat pumps", "value:days": "5"}, headers=HTMX
    )

    with scope(organization=organization):
        run = Run.objects.get()
    assert answer["HX-Redirect"] == f"/runs/{run.pk}"
    assert (run.input, run.trigger, run.created_by) == ('{"days":5,"topic":"heat pumps"}', "manual", "user:alice")


def test_an_input_that_does_not_fit_is_shown_at_its_field_and_kept(browser, brief, organization):
    form = browser.owner.post("/workflows/market-brief/run", {"value:topic": "x", "value:days": "many"}, headers=HTMX)

    assert "This is not a whole number." in form.text
    assert 'value="x"' in form.text
    with scope(organization=organization):
        assert not Run.objects.exists()


def file(text, name="w.yaml"):
    return SimpleUploadedFile(name, text.encode())


def test_a_file_in_any_dialect_becomes_a_workflow(browser, organization):
    text = "# why\nname: imported\nnodes:\n  a: {type: set, values: {x: 1}}\n"

    answer = browser.owner.post("/workflow-imports", {"file": file(text)}, headers=HTMX)

    assert answer["HX-Redirect"] == "/workflows/imported"
    with scope(organization=organization):
        workflow = selectors.find_workflow("imported")
        assert workflow.versions.get().source == text


@pytest.mark.parametrize("text", ["name: [", "name: x\nnodes:\n  a: {type: nothing}\n", "", '{"name": 1}', "\xff\x00"])
def test_a_file_that_is_no_workflow_says_what_is_wrong_and_nothing_is_saved(browser, organization, text):
    answer = browser.owner.post("/workflow-imports", {"file": file(text)}, headers=HTMX)

    assert "Not imported." in answer.text
    with scope(organization=organization):
        assert not selectors.workflows().exists()
    assert "Choose a file" in browser.owner.post("/workflow-imports", headers=HTMX).text


def test_an_archived_workflow_comes_back_by_undo(browser, brief, organization):
    answer = browser.owner.post("/workflows/market-brief/archive", headers=HTMX)
    undo = f"/workflow-restores/{brief.pk}"

    assert undo in answer["HX-Trigger"]
    assert "Market brief" not in browser.owner.get("/workflows").text
    assert browser.stranger.post(undo).status_code == 404
    assert browser.viewer.post(undo).status_code == 403
    browser.owner.post(undo)
    assert "Market brief" in browser.owner.get("/workflows").text


def test_an_archived_workflow_does_not_push_another_of_its_name_away(browser, brief, organization):
    browser.owner.post("/workflows/market-brief/archive", headers=HTMX)
    saved(organization, "market-brief")

    assert browser.owner.post(f"/workflow-restores/{brief.pk}").status_code == 409


def test_versions_are_compared_and_published(browser, brief, organization):
    saved(organization, "market-brief", title="Brief")

    changes = browser.viewer.get("/workflows/market-brief/versions/1/diff/2", headers=HTMX).text
    browser.owner.post("/workflows/market-brief/versions/1/publish")

    assert '<span class="removed">-title: Market brief</span>' in changes
    brief.refresh_from_db()
    assert brief.published_version == 1
    assert browser.stranger.get("/workflows/market-brief/versions/1/diff/2").status_code == 404


def test_a_new_workflow_opens_in_the_builder_under_a_name_that_is_free(browser, organization):
    first = browser.owner.post("/workflow-beginnings", {"title": "Weekly report"})
    second = browser.owner.post("/workflow-beginnings", {"title": "Weekly report"})

    assert (first.status_code, first["Location"]) == (302, "/workflows/weekly-report/edit")
    assert second["Location"] == "/workflows/weekly-report-2/edit"
    assert browser.owner.get(first["Location"]).status_code == 200
    with scope(organization=organization):
        assert selectors.find_workflow("weekly-report").title == "Weekly report"


@pytest.mark.parametrize(("title", "name"), [("Überblick für heute", "uberblick-fur-heute"), ("週報", "workflow")])
def test_any_title_makes_a_name(browser, title, name):
    assert browser.owner.post("/workflow-beginnings", {"title": title})["Location"] == f"/workflows/{name}/edit"


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
def test_a_title_that_will_not_do_is_refused(browser, organization, title):
    answer = browser.owner.post("/workflow-beginnings", {"title": title}, headers=HTMX)

    assert answer.status_code == 400
    with scope(organization=organization):
        assert not selectors.workflows().exists()


def test_who_may_only_look_begins_no_workflow(browser, organization):
    assert browser.viewer.post("/workflow-beginnings", {"title": "Mine"}).status_code == 403
    assert "New workflow" not in browser.viewer.get("/workflows").text
    assert "New workflow" in browser.owner.get("/workflows").text
