"""What an agent outside tells while it works stands in its run, once, and only as long as the work is its own."""

import pytest
from django_scopes import scopes_disabled

from apps.agents.models import AgentTask
from apps.agents.services.sweep import sweep
from apps.observability.models import LogLine
from apps.observability.run_log import MOST_LINES
from tests.agents.live import beat, claim, finish, join, pass_time, report
from tests.engine.documents import workflow
from tests.fixtures import signed_in
from tests.workflows.test_models_in_runs import part

SHOUTING = workflow({"loud": {"type": "agent", "agent": "shouter", "input": {"text": "hello"}}})


@pytest.fixture
def run(room, alice):
    """A run that is left to an agent outside."""
    join(alice, "one", heartbeat_interval=10)
    claim(alice, "one")
    run = room.start(SHOUTING)
    room.work()
    return run


@pytest.fixture
def task(run, alice):
    return claim(alice, "one")


def line(message, **more):
    return {"message": message, **more}


def logged(run):
    with scopes_disabled():
        return [one.message for one in LogLine.objects.filter(run_id=run).order_by("created_at", "id")]


def test_progress_is_an_event_of_the_run(room, alice, run, task):
    answer = report(alice, "one", task, progress={"fraction": 0.4, "message": "half"})

    assert (answer.status_code, answer.json()["state"]) == (200, "claimed")
    (event,) = room.events(run, "node.progress")
    assert (event.node, event.data) == ("loud", {"fraction": 0.4, "message": "half"})


def test_the_page_of_the_run_shows_who_is_at_work_and_how_far(room, alice, bob, charlie, run, task):
    report(alice, "one", task, progress={"fraction": 0.4, "message": "half"})

    for actor in (alice, bob):
        page = signed_in(actor).get(f"/runs/{run}").content.decode()
        (row,) = signed_in(actor).get(f"/runs/{run}/state").json()["rows"]
        assert "With one, 40 %: half." in part(actor, run, "head")
        assert 'class="note" x="31" y="40">40 %: half<' in page
        assert "for an agent" not in page
        assert (row["status"], row["told"]) == ("running", "40 %: half")
        assert [(one["kind"], one["outcome"]) for one in row["segments"]][-1] == ("run", "running")
        assert "loud Running" in part(actor, run, "inspector?node=loud")
        assert "loud 40 %: half" in part(actor, run, "history")
    assert signed_in(charlie).get(f"/runs/{run}").status_code == 404


def test_what_was_told_is_not_shown_of_who_takes_the_task_over(room, alice, run, task):
    report(alice, "one", task, progress={"fraction": 0.4, "message": "half"})
    join(alice, "two", heartbeat_interval=10)
    pass_time(60, "one")
    beat(alice, "two")
    sweep()
    assert "was lost. It waits for a process of the agent to take it." in part(alice, run, "head")
    claim(alice, "two")

    assert "was lost. With two." in part(alice, run, "head")
    assert signed_in(alice).get(f"/runs/{run}/state").json()["rows"][0]["told"] == ""


def test_the_time_at_an_agent_is_no_time_in_the_queue(room, alice, run, task):
    finish(alice, "one", task, output="HELLO")
    room.work()

    (row,) = signed_in(alice).get(f"/runs/{run}/state").json()["rows"]

    kinds = [(one["kind"], one["outcome"]) for one in row["segments"] if one["kind"] != "queue"]
    assert kinds == [("run", "waiting"), ("run", "completed"), ("run", "completed")]


def test_lines_stand_in_the_log_of_the_run(room, alice, run, task):
    report(alice, "one", task, lines=[line("Read.", level="debug", fields={"event": "x", "bytes": 3}), line("Done.")])

    shown = alice.client.get(f"/v1/runs/{run}/logs").json()["items"]
    assert [(one["level"], one["message"], one["fields"], one["node"]) for one in shown] == [
        ("debug", "Read.", {"event": "x", "bytes": 3}, "loud"),
        ("info", "Done.", {}, "loud"),
    ]


def test_lines_that_are_told_again_are_kept_once(alice, run, task):
    report(alice, "one", task, first=0, lines=[line("a"), line("b")])
    report(alice, "one", task, first=0, lines=[line("a"), line("b"), line("c")])
    report(alice, "one", task, first=1, lines=[line("b"), line("c")])

    assert logged(run) == ["a", "b", "c"]


def test_who_takes_a_task_over_begins_its_own_lines(alice, run, task):
    report(alice, "one", task, first=0, lines=[line("by one")])
    join(alice, "two", heartbeat_interval=10)
    pass_time(60, "one")
    beat(alice, "two")
    taken = claim(alice, "two")

    report(alice, "two", taken, first=0, lines=[line("by two")])

    assert report(alice, "one", task, first=1, lines=[line("late")]).json()["code"] == "stale_fence"
    assert logged(run) == ["by one", "by two"]


def test_an_attempt_keeps_so_many_lines(alice, run, task):
    with scopes_disabled():
        AgentTask.objects.update(lines=MOST_LINES - 1)

    report(alice, "one", task, lines=[line("the last"), line("too many")])
    report(alice, "one", task, lines=[line("too many")])

    assert logged(run) == ["the last", f"The log ends here: one attempt keeps {MOST_LINES:,} lines."]


def test_of_what_has_ended_nothing_is_told_any_more(room, alice, run, task):
    finish(alice, "one", task, output="HELLO")

    answer = report(alice, "one", task, progress={"fraction": 1})

    assert (answer.status_code, answer.json()["code"]) == (409, "task_ended")
    assert room.events(run, "node.progress") == []


def test_who_tells_hears_that_the_run_was_cancelled(room, alice, run, task):
    room.cancel(run)

    assert report(alice, "one", task, progress={"fraction": 0.5}).json()["code"] == "task_ended"


def test_another_organization_tells_nothing(alice, charlie, bob, run, task):
    join(charlie, "one")

    assert report(charlie, "one", task, lines=[line("x")]).status_code == 404
    assert report(bob, "one", task, lines=[line("x")]).status_code == 403
    assert logged(run) == []


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"progress": {"fraction": 2}}, "/progress/fraction"),
        ({"lines": [{"level": "loud", "message": "x"}]}, "/lines/0/level"),
        ({"lines": [{}]}, "/lines/0/message"),
        ({"first": -1}, "/first"),
        ({"fence": 0}, "/fence"),
    ],
)
def test_what_is_wrong_with_a_report_is_named(alice, task, wrong, pointer):
    answer = report(alice, "one", task, **wrong)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer
