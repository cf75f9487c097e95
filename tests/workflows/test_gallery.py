import pytest
from django_scopes import scope

from apps.common import yaml
from apps.integrations.models import OutboxMessage
from apps.workflows.models import Approval, NodeRun, Workflow, WorkflowVersion
from apps.workflows.services import approvals, versions
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.gallery import load_demos, run_demo, templates
from apps.workflows.services.versions import Source
from tests.workflows.engine_room import EngineRoom


@pytest.fixture
def room(organization):
    return EngineRoom(organization)


def finished(room, name):
    run = room.until_ended(run_demo(room.organization, name))
    assert run.status == "completed", run.error
    return run, room.output(run)


def until_waiting(room, run):
    room.work()
    while room.status(run) == "running":
        room.pass_time(room.seconds_until_due())
        room.work()
    assert room.status(run) == "waiting"


def test_every_template_is_a_workflow_without_warnings(in_scope):
    for template in templates().values():
        assert check_definition(template.definition).warnings == [], template.name


def test_loading_the_demos_twice_is_the_same_as_once(organization):
    first = load_demos(organization)
    second = load_demos(organization)

    assert {workflow.pk for workflow in first} == {workflow.pk for workflow in second}
    assert len(first) == len(templates())
    with scope(organization=organization):
        assert WorkflowVersion.objects.count() == len(templates())


def test_a_demo_that_somebody_has_changed_is_left_alone(in_scope):
    load_demos(in_scope)
    changed = templates()["fit-summary"].definition | {"description": "Mine."}
    versions.save_workflow(
        organization=in_scope, checked=check_definition(changed), source=Source("", "json"), by="user:alice"
    )

    load_demos(in_scope)

    assert Workflow.objects.get(name="fit-summary").latest_version == 2


def test_a_demo_that_was_archived_comes_back_only_when_asked(in_scope):
    load_demos(in_scope)
    versions.archive_workflow(Workflow.objects.get(name="fit-summary"))

    load_demos(in_scope)
    assert not Workflow.objects.filter(name="fit-summary", archived_at=None).exists()

    load_demos(in_scope, restore=True)
    assert Workflow.objects.filter(name="fit-summary", archived_at=None).exists()


def test_content_analysis_summarises_the_bundled_text(room):
    _, output = finished(room, "content-analysis")

    assert output["sentiment"] == "positive"
    assert output["summary"] in templates()["content-analysis"].sample_input["input_text"]


def test_data_processing_sets_the_bad_rows_aside(room):
    _, output = finished(room, "data-processing")

    assert output["rows"] == 8
    assert [row["column"] for row in output["invalid_rows"]]
    assert output["statistics"]["unit_price"]["mean"] > 100


def test_a_summary_is_made_shorter_until_it_fits(room):
    run, output = finished(room, "fit-summary")

    assert output["fits"]
    with scope(organization=room.organization):
        assert NodeRun.objects.filter(run=run, node="summary").count() > 1


def test_the_onboarding_takes_the_premium_way(room):
    run, _ = finished(room, "onboarding")

    with scope(organization=room.organization):
        nodes = set(NodeRun.objects.filter(run=run).values_list("node", flat=True))
    assert "step_escalate" in nodes
    assert "step_standard_process" not in nodes


def test_the_parallel_review_reviews_every_module_and_plans_fixes(room):
    _, output = finished(room, "parallel-review")

    assert len(output["reviews"]) == 5
    assert output["plan"]


def test_the_brief_is_sent_once_a_person_approves(room):
    run = run_demo(room.organization, "publish-with-approval")
    until_waiting(room, run)
    assert room.node(run, "developments").attempt == 2
    room.decide(run, "approve", {"note": "Read this."})

    assert room.until_ended(run).status == "completed"

    with scope(organization=room.organization):
        assert OutboxMessage.objects.get().body.startswith("Read this.")


def test_the_brief_is_shelved_when_a_person_rejects(room):
    run = run_demo(room.organization, "publish-with-approval")
    until_waiting(room, run)
    with scope(organization=room.organization):
        question = Approval.objects.get(run_id=run)
        approvals.decide_approval(question, decision="reject", data={}, comment="Not now.", by="user:alice")

    ended = room.until_ended(run)

    assert room.output(ended) == {"decision": "reject", "comment": "Not now.", "message": None}
    with scope(organization=room.organization):
        assert not OutboxMessage.objects.exists()


def test_the_brief_that_is_sent_back_is_judged_again_with_the_comment(room):
    run = run_demo(room.organization, "publish-with-approval")
    until_waiting(room, run)

    room.decide(run, "send_back", comment="Shorter, please.")
    until_waiting(room, run)

    with scope(organization=room.organization):
        again = NodeRun.objects.filter(run_id=run, node="critic").latest("visit")
    assert again.visit == 2
    assert "Shorter, please." in room.node_input(run, "critic", visit=2)["task"]
    room.decide(run, "approve")
    assert room.until_ended(run).status == "completed"


def test_the_api_lists_the_templates(alice):
    items = alice.client.get("/v1/templates").data["items"]

    assert [item["name"] for item in items] == sorted(templates())
    assert not any(item["needs_key"] for item in items)


def test_a_template_from_the_api_can_be_saved_and_run_as_it_is(alice):
    template = alice.client.get("/v1/templates/content-analysis").data

    saved = alice.client.post("/v1/workflows", template["definition"], format="json")
    started = alice.client.post(
        f"/v1/workflows/{saved.data['id']}/run", {"input": template["sample_input"]}, format="json"
    )

    assert (saved.status_code, started.status_code) == (201, 202)


def test_an_unknown_template_names_the_nearest(alice):
    answer = alice.client.get("/v1/templates/content-analisis")

    assert answer.status_code == 404
    assert "content-analysis" in answer.data["detail"]


@pytest.mark.parametrize("path", ["/v1/templates", "/v1/templates/onboarding"])
def test_the_gallery_is_for_members(client, path):
    assert client.get(path).status_code == 401


def test_the_sample_text_is_cited(db):
    assert "Thoreau" in templates()["content-analysis"].description
    assert yaml.dumps(templates()["content-analysis"].sample_input).startswith("input_text:")
