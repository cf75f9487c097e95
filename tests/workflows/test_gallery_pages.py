"""The gallery of templates, as people use it."""

from urllib.parse import quote

import pytest
from django_scopes import scope

from apps.accounts.models import Role
from apps.workflows.models import Run, Workflow, WorkflowVersion
from apps.workflows.services.gallery import templates
from tests.fixtures import make_actor, signed_in


def test_every_template_is_shown_with_what_it_is_made_of(browser):
    page = browser.owner.get("/templates").content.decode()

    for template in templates().values():
        assert template.title in page
        assert f"/templates/{template.name}/run" in page
    assert "asks a person" in page
    assert "a loop" in page


@pytest.mark.parametrize("name", sorted(templates()))
def test_using_a_template_makes_a_workflow_of_ones_own(browser, organization, name):
    first = browser.owner.post(f"/templates/{name}/use")
    second = browser.owner.post(f"/templates/{name}/use")

    wanted = templates()[name].workflow
    assert first["Location"] == f"/workflows/{quote(wanted)}/edit"
    assert second["Location"] == f"/workflows/{quote(wanted)}-2/edit"
    with scope(organization=organization):
        assert set(Workflow.objects.values_list("name", flat=True)) == {wanted, f"{wanted}-2"}
        assert {version.created_by for version in WorkflowVersion.objects.all()} == {"user:alice"}


def test_running_the_demo_starts_a_run(browser, organization):
    answer = browser.owner.post("/templates/fit-summary/run")

    with scope(organization=organization):
        run = Run.objects.get()
    assert answer["Location"] == f"/runs/{run.pk}"
    assert run.trigger == "demo"


def test_a_role_has_the_buttons_that_it_may_press(browser, organization):
    olga = signed_in(make_actor("olga", organization, Role.OPERATOR))

    viewed, operated = (one.get("/templates").content.decode() for one in (browser.viewer, olga))

    assert '/run"' not in viewed
    assert '/use"' not in viewed + operated
    assert "/templates/fit-summary/run" in operated
    for act in ("use", "run"):
        assert browser.viewer.post(f"/templates/fit-summary/{act}").status_code == 403
    assert olga.post("/templates/fit-summary/use").status_code == 403
    with scope(organization=organization):
        assert not Workflow.objects.exists()


def test_a_stranger_uses_it_for_their_own_organization(browser, organization):
    browser.stranger.post("/templates/fit-summary/use")

    with scope(organization=organization):
        assert not Workflow.objects.exists()


def test_nobody_goes_to_the_sign_in(browser):
    assert browser.anonymous.get("/templates").status_code == 302
    assert browser.anonymous.post("/templates/fit-summary/run").status_code == 302


def test_a_template_that_is_not_there(browser):
    assert browser.owner.post("/templates/nothing/use").status_code == 404
