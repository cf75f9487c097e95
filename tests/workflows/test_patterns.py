"""Patterns of agents in the gallery, each to its end with the demo model."""

from django_scopes import scope

from apps.workflows.models import NodeRun
from apps.workflows.services.gallery import run_demo


def finished(room, name):
    run = room.until_ended(run_demo(room.organization, name))
    assert run.status == "completed", run.error
    return run, room.output(run)


def visits(room, run, node):
    with scope(organization=room.organization):
        return NodeRun.objects.filter(run=run, node=node, parent=None).count()


def test_three_reviews_of_a_change_become_one_report(room):
    _, output = finished(room, "code-review")

    assert output["decision"] in {"request_changes", "approve"}
    assert output["summary"]
    assert {finding["severity"] for finding in output["findings"]} <= {"high", "medium", "low"}


def test_a_debate_has_two_rounds_and_a_verdict(room):
    run, output = finished(room, "debate-with-judge")

    assert output["verdict"] in {"for", "against", "undecided"}
    assert 0 <= output["confidence"] <= 1
    heard = room.node_input(run, "judge")["context"]
    assert [part.split(".")[0] for part in heard] == ["For", "Against", "For, in reply", "Against, in reply"]


def test_a_text_is_revised_until_the_rounds_are_used_up(room):
    run, output = finished(room, "evaluator-optimizer")

    assert (output["accepted"], output["rounds"]) == (False, 2)
    assert output["open_notes"]
    assert visits(room, run, "writer") == 2
    assert room.node_input(run, "writer", visit=2)["context"], "the critic's notes"


def test_a_coordinator_has_its_parts_done_and_reviewed(room):
    run, output = finished(room, "coordinator-supervised")

    assert len(output["parts"]) >= 2
    assert output["complete"] is True
    assert len(room.node_input(run, "review")["context"]) == len(output["parts"])


def test_a_feature_is_built_on_both_sides_against_one_contract(room):
    run, output = finished(room, "full-stack-development")

    assert output["ready"] is True
    assert output["summary"]
    contracts = {room.node_input(run, side)["context"][0] for side in ("backend", "frontend")}
    assert len(contracts) == 1
