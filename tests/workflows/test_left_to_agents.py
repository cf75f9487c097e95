"""A node whose task an agent outside has waits without a worker, and goes on whatever dies meanwhile."""

import json
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from apps.agents.context import LocalContext
from apps.agents.models import AgentFigures, AgentTask
from apps.agents.services import remote_tasks
from apps.agents.services.sweep import sweep, tidy
from apps.workflows import selectors
from apps.workflows.serializers.history import sentence
from apps.workflows.services import acting, recovery
from tests.agents.live import beat, claim, finish, join, pass_time, tasks
from tests.engine.documents import workflow
from tests.fixtures import signed_in
from tests.integrations.servers import Answer, serving
from tests.workflows.test_models_in_runs import part

ECHO = {"type": "agent", "agent": "echo", "input": {"n": 1}}


def shouting(text="hello", **more):
    return {"type": "agent", "agent": "shouter", "input": {"text": text}, **more}


def arrive(actor, name, **told):
    """An agent joins and asks for a task, so that people know that it fetches what there is."""
    join(actor, name, heartbeat_interval=10, **told)
    assert claim(actor, name) is None


@pytest.fixture
def one(alice):
    arrive(alice, "one")


def left(room, document=None):
    """A run whose node has been left to whoever fetches its task."""
    run = room.start(document or workflow({"loud": shouting()}))
    room.work()
    return run


def states():
    return [task.state for task in tasks()]


def test_twenty_nodes_that_wait_hold_no_slot(room, alice):
    arrive(alice, "one", max_concurrency=20)
    waiting = [left(room, workflow({"loud": shouting(f"text {n}")})) for n in range(20)]

    other = room.finish(workflow({"e": ECHO}))

    assert other.status == "completed"
    assert {room.statuses(run)["loud"] for run in waiting} == {"waiting"}
    for _ in waiting:
        task = claim(alice, "one")
        assert finish(alice, "one", task, output=task["input"]["text"].upper()).status_code == 200
    room.work()
    assert [room.node_output(run, "loud") for run in waiting] == [f"TEXT {n}" for n in range(20)]
    assert {room.status(run) for run in waiting} == {"completed"}


def test_a_run_that_waits_for_an_agent_is_at_work(room, one):
    run = left(room)

    assert room.status(run) == "running"
    (event,) = room.events(run, "node.waiting")
    assert event.data["waits_for"] == "agent"
    assert room.attempts(run, "loud") == ["waiting"]


def test_the_answer_ends_the_node_in_the_same_try(room, alice, one):
    run = left(room)

    finish(alice, "one", claim(alice, "one"), output={"text": "HELLO"})

    room.work()
    assert room.output(run) == {"loud": {"text": "HELLO"}}
    assert room.attempts(run, "loud") == ["waiting", "completed"]
    assert room.node(run, "loud").attempt == 1


def test_an_answer_that_comes_before_the_node_waits_is_not_missed(room, alice, one, monkeypatch):
    leave = remote_tasks.leave

    def leave_and_be_answered(task):
        leave(task)
        finish(alice, "one", claim(alice, "one"), output="HELLO")

    monkeypatch.setattr(remote_tasks, "leave", leave_and_be_answered)
    run = left(room)

    assert room.status(run) == "completed"


def test_an_answer_that_nobody_was_told_of_is_found(room, alice, one, monkeypatch):
    run = left(room)
    monkeypatch.setattr("apps.agents.services.news._nodes", [])
    finish(alice, "one", claim(alice, "one"), output="HELLO")
    assert room.claimable() == []

    assert recovery.wake() == 1
    assert recovery.wake() == 0

    room.work()
    assert room.status(run) == "completed"


def test_a_worker_that_dies_at_any_place_asks_once(room, alice, one):
    run = room.start(workflow({"loud": shouting()}))
    room.execute(room.claim(run, "loud"))  # the task is there, and nobody knows that the node waits
    room.die()
    room.work()
    room.die()  # while it waits
    finish(alice, "one", claim(alice, "one"), output="HELLO")
    room.execute(room.claim(run, "loud"))  # the answer has been read, and not written
    room.die()

    room.work()

    assert room.output(run) == {"loud": "HELLO"}
    assert len(tasks()) == 1
    assert room.attempts(run, "loud") == ["lost", "waiting", "lost", "completed"]


def test_when_the_agent_dies_another_one_does_it(room, alice, one):
    arrive(alice, "two")
    run = left(room)
    lost = claim(alice, "one")
    pass_time(60, "one")
    beat(alice, "two")
    sweep()

    finish(alice, "two", claim(alice, "two"), output="BY TWO")

    room.work()
    assert room.output(run) == {"loud": "BY TWO"}
    assert finish(alice, "one", lost, output="BY ONE").status_code == 409


def test_the_run_tells_which_process_was_lost_with_the_task_once(room, alice, one):
    arrive(alice, "two")
    run = left(room)
    claim(alice, "one")
    pass_time(60, "one")
    beat(alice, "two")
    sweep()
    sweep()

    waits = room.events(run, "node.waiting")

    assert [event.data.get("lost") for event in waits] == [None, "one"]
    assert sentence(waits[1]) == "waits for another process of the agent: one was lost while it had the task"


def test_who_takes_over_before_anybody_looked_has_it_told_too(room, alice, one):
    arrive(alice, "two")
    run = left(room)
    claim(alice, "one")
    pass_time(60, "one")
    beat(alice, "two")

    assert claim(alice, "two") is not None

    assert [event.data.get("lost") for event in room.events(run, "node.waiting")] == [None, "one"]


def test_a_process_that_comes_again_under_its_name_was_lost_too(room, alice):
    arrive(alice, "one", process="a")
    run = left(room)
    claim(alice, "one")

    join(alice, "one", process="b")

    assert [event.data.get("lost") for event in room.events(run, "node.waiting")] == [None, "one"]


def test_a_task_that_an_agent_is_made_to_give_away_was_not_lost(room, alice, one):
    run = left(room)
    claim(alice, "one")

    alice.client.post("/v1/agents/one/disable")

    assert len(room.events(run, "node.waiting")) == 1


@pytest.fixture
def workers(monkeypatch):
    """Somebody is there for whatever is queued."""
    monkeypatch.setattr(selectors, "has_living_workers", lambda: True)
    monkeypatch.setattr(selectors, "missing_handlers", lambda _: [])


def test_a_node_that_comes_back_is_not_said_to_be_tried_again(room, alice, one, workers):
    run = left(room)
    claim(alice, "one")
    pass_time(60, "one")
    sweep()
    recovery.wake()
    room.work(most=1)

    page, head = signed_in(alice).get(f"/runs/{run}").content.decode(), part(alice, run, "head")

    assert ">comes back<" in page
    assert "try " not in page.split("Event history")[0]
    assert "is there at the moment. The process that worked on it was lost" in head
    assert "It comes back by itself" in head
    assert "attempt" not in head


def test_what_waited_and_came_back_is_one_attempt(room, alice, one):
    run = left(room)
    claim(alice, "one")
    pass_time(60, "one")
    sweep()
    recovery.wake()
    room.work(most=1)
    beat(alice, "one")
    finish(alice, "one", claim(alice, "one"), output="HELLO")
    room.until_ended(run)
    assert len(room.attempts(run, "loud")) > 2

    shown = part(alice, run, "inspector?node=loud&tab=attempts")

    assert "Attempts 1" in shown
    assert "Attempt 1 Completed" in shown
    assert "It waited once on the way. It came back once" in shown
    assert "Attempt 2" not in shown


def test_attempts_that_failed_stand_by_themselves(room, alice, one):
    run = left(room, workflow({"loud": shouting(retry={"attempts": 2, "delay": 1})}))
    finish(alice, "one", claim(alice, "one"), status="failed", error={"message": "Too hard.", "retryable": True})
    room.work()
    room.pass_time(5)
    room.work()
    finish(alice, "one", claim(alice, "one"), output="HELLO")
    room.work()

    shown = part(alice, run, "inspector?node=loud&tab=attempts")

    assert "Attempts 2" in shown
    assert "Attempt 1 Failed" in shown
    assert "Attempt 2 Completed" in shown


def test_when_nobody_is_left_to_fetch_it_people_see_that(room, alice, one):
    run = left(room)
    pass_time(60, "one")
    sweep()

    recovery.wake()
    room.work(most=1)

    assert room.statuses(run)["loud"] == "retrying"
    assert room.node(run, "loud").error["code"] == "no_live_agent"
    beat(alice, "one")
    finish(alice, "one", claim(alice, "one"), output="HELLO")
    assert room.until_ended(run).status == "completed"
    assert len(tasks()) == 1


def test_a_task_that_kills_its_agents_fails_the_node(room, alice, one):
    run = left(room)
    for _ in range(remote_tasks.MOST_LOSSES):
        assert claim(alice, "one")
        pass_time(60, "one")
        sweep()
        beat(alice, "one")

    recovery.wake()
    room.work()

    assert room.error(run)["code"] == "agent_lost"


@pytest.mark.parametrize("is_claimed", [True, False])
def test_to_cancel_the_run_takes_the_task_back(room, alice, one, is_claimed):
    run = left(room)
    task = claim(alice, "one") if is_claimed else None

    room.cancel(run)

    assert states() == ["withdrawn"]
    assert claim(alice, "one") is None
    if task:
        held = [{"id": task["id"], "fence": task["fence"]}]
        assert beat(alice, "one", tasks=held)["withdrawn"] == [task["id"]]


def test_a_task_whose_run_was_cancelled_by_who_died_then_is_taken_back(room, one, monkeypatch):
    run = left(room)
    with monkeypatch.context() as dying:
        dying.setattr(acting, "tell", lambda *_: None)
        room.cancel(run)
    assert states() == ["queued"]

    assert recovery.withdraw_orphans() == 1

    assert states() == ["withdrawn"]
    assert recovery.withdraw_orphans() == 0


def test_an_agent_begins_nothing_for_a_paused_run(room, alice, one):
    run = left(room)
    room.pause(run)
    assert claim(alice, "one") is None
    recovery.wake()
    room.work()

    room.resume(run)

    room.work()
    finish(alice, "one", claim(alice, "one"), output="HELLO")
    room.work()
    assert room.status(run) == "completed"
    assert len(tasks()) == 1


def test_what_an_agent_has_begun_is_finished_while_the_run_is_paused(room, alice, one):
    run = left(room)
    task = claim(alice, "one")
    room.pause(run)
    finish(alice, "one", task, output="HELLO")
    room.work()
    assert room.status(run) == "paused"

    room.resume(run)

    room.work()
    assert room.output(run) == {"loud": "HELLO"}


def test_an_answer_is_kept_for_a_run_that_is_paused_for_long(room, alice, one):
    run = left(room)
    task = claim(alice, "one")
    room.pause(run)
    finish(alice, "one", task, output="HELLO")
    with scopes_disabled():
        AgentTask.objects.update(finished_at=Now() - timedelta(days=30))

    tidy()
    room.resume(run)

    room.work()
    assert room.output(run) == {"loud": "HELLO"}
    tidy()
    assert tasks() == [], "it has been looked at"


def test_the_time_of_the_attempt_goes_on_while_the_node_waits(room, alice, one):
    run = left(room, workflow({"loud": shouting(timeout=10)}))
    task = claim(alice, "one")
    room.pass_time(9)
    assert room.statuses(run)["loud"] == "waiting"

    room.pass_time(2)

    assert room.error(run)["code"] == "timeout"
    assert room.attempts(run, "loud") == ["timeout"]
    assert states() == ["withdrawn"]
    assert finish(alice, "one", task, output="HELLO").json()["code"] == "task_ended"


def test_an_answer_that_came_in_time_counts_whenever_a_worker_is_free(room, alice, one):
    run = left(room, workflow({"loud": shouting(timeout=10)}))
    finish(alice, "one", claim(alice, "one"), output="HELLO")
    room.pass_time(60)

    taken = room.claim(run, "loud")
    assert recovery.end_overdue() == 0

    room.bring(taken, room.execute(taken))
    assert room.output(run) == {"loud": "HELLO"}


def test_a_task_from_before_nodes_were_left_is_taken_over(room, alice, one):
    run = room.start(workflow({"loud": shouting()}))
    older = {"agent": "shouter", "input": {"text": "hello"}, "run_id": run, "node": "loud"}
    with room.scope():
        AgentTask.objects.create(organization=room.organization, key=f"{run}:loud:1:-1", **older)
    task = claim(alice, "one")

    room.work()

    assert task["idempotency_key"] == f"{run}:loud:1:-1"
    assert room.statuses(run)["loud"] == "waiting"
    finish(alice, "one", task, output="HELLO")
    room.work()
    assert room.output(run) == {"loud": "HELLO"}
    assert len(tasks()) == 1


def test_one_that_takes_too_long_is_measured_as_failed(room, alice):
    arrive(alice, "one", capabilities=["shout"])
    document = workflow({"loud": {"type": "agent", "capability": "shout", "input": {"text": "x"}, "timeout": 10}})
    left(room, document)
    claim(alice, "one")

    room.pass_time(11)

    with scopes_disabled():
        (figures,) = AgentFigures.objects.all()
    assert (figures.agent, figures.failures) == ("shouter/one", 1)


RETRIED = {"retry": {"attempts": 2, "delay": 1}}


def test_another_try_is_another_task(room, alice, one):
    run = left(room, workflow({"loud": shouting(timeout=10, **RETRIED)}))
    first = claim(alice, "one")

    room.pass_time(11)

    assert finish(alice, "one", first, output="LATE").status_code == 409
    room.pass_time(5)
    room.work()
    second = claim(alice, "one")
    assert second["id"] != first["id"]
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert second["idempotency_key"] == first["idempotency_key"], "what it does elsewhere is done once"
    finish(alice, "one", second, output="HELLO")
    room.work()
    assert room.output(run) == {"loud": "HELLO"}
    assert room.attempts(run, "loud") == ["timeout", "waiting", "completed"]


def test_the_next_try_goes_to_another_one_than_failed(room, alice, one):
    run = left(room, workflow({"loud": shouting(**RETRIED)}))
    failed = claim(alice, "one")
    arrive(alice, "two")
    error = {"message": "Too hard.", "retryable": True}

    finish(alice, "one", failed, status="failed", error=error)

    room.work()
    room.pass_time(5)
    room.work()
    assert claim(alice, "one") is None
    finish(alice, "two", claim(alice, "two"), output="BY TWO")
    room.work()
    assert room.output(run) == {"loud": "BY TWO"}


def test_after_a_person_retries_the_old_answer_is_not_taken_again(room, alice):
    arrive(alice, "one", output_schema={"type": "object", "required": ["text"]})
    run = left(room)
    finish(alice, "one", claim(alice, "one"), output={"wrong": 1})
    room.work()
    assert room.error(run)["code"] == "invalid_output"

    room.retry(run)

    room.work()
    finish(alice, "one", claim(alice, "one"), output={"text": "HELLO"})
    room.work()
    assert room.output(run) == {"loud": {"text": "HELLO"}}
    assert len(tasks()) == 2


def test_each_item_of_a_map_has_a_task_of_its_own_in_each_try(room, alice):
    arrive(alice, "one", max_concurrency=3)
    inner = shouting("{{ item }}", **RETRIED)
    run = left(room, workflow({"all": {"type": "map", "over": ["a", "b", "c"], "node": inner}}))
    bad, *good = [claim(alice, "one") for _ in range(3)]
    for task in good:
        finish(alice, "one", task, output=task["input"]["text"].upper())

    finish(alice, "one", bad, status="failed", error={"message": "No.", "retryable": True})

    room.work()
    room.pass_time(5)
    room.work()
    again = claim(alice, "one")
    assert again["input"] == bad["input"]
    assert again["id"] != bad["id"]
    finish(alice, "one", again, output="A")
    room.work()
    assert room.output(run) == {"all": ["A", "B", "C"]}


def test_each_task_of_one_visit_has_a_key_of_its_own():
    ctx = LocalContext(key="k")

    assert [ctx.next_ask() for _ in range(3)] == ["k", "k:ask2", "k:ask3"]


def test_the_answer_counts_though_another_one_would_be_chosen_by_now(room, alice):
    arrive(alice, "one", capabilities=["text_summary"])
    node = {"type": "agent", "capability": "text_summary", "input": {"text": "Long. Story."}}
    run = left(room, workflow({"short": node}))
    task = claim(alice, "one")
    assert task is not None, "one that somebody brought comes before what is built in"
    finish(alice, "one", task, output={"summary": "Short."})
    alice.client.delete("/v1/agents/one")

    room.work()

    assert room.output(run) == {"short": {"summary": "Short."}}


def test_the_answer_counts_though_the_agent_takes_something_else_by_now(room, alice, one):
    run = left(room)
    task = claim(alice, "one")
    join(alice, "one", heartbeat_interval=10, input_schema={"type": "object", "required": ["words"]})

    finish(alice, "one", task, output="HELLO")

    room.work()
    assert room.output(run) == {"loud": "HELLO"}


def test_one_that_accepts_what_it_is_sent_holds_no_slot(room, alice, settings):
    with serving(lambda _: Answer(202)) as agent:
        settings.ORCHESTRA_EGRESS_ALLOW = [agent.address]
        join(alice, "one", endpoint=agent.url, heartbeat_interval=10)
        run = left(room)
        other = room.finish(workflow({"e": ECHO}))

    assert (other.status, room.statuses(run)["loud"]) == ("completed", "waiting")
    (sent,) = agent.received
    finish(alice, "one", json.loads(sent.body), output="HELLO")
    room.work()
    assert room.output(run) == {"loud": "HELLO"}


def test_what_was_sent_to_one_that_dies_is_sent_to_another_in_the_same_time(room, alice, settings):
    with serving(lambda _: Answer(202)) as first, serving(lambda _: Answer(202)) as second:
        settings.ORCHESTRA_EGRESS_ALLOW = [first.address, second.address]
        join(alice, "one", endpoint=first.url, heartbeat_interval=10)
        run = left(room, workflow({"loud": shouting(timeout=100)}))
        ends = room.node(run, "loud").available_at
        pass_time(60, "one")
        sweep()
        join(alice, "two", endpoint=second.url, heartbeat_interval=10)

        recovery.wake()
        room.work()

    assert (len(first.received), len(second.received)) == (1, 1)
    assert room.node(run, "loud").available_at == ends
    finish(alice, "two", json.loads(second.received[0].body), output="BY TWO")
    room.work()
    assert room.output(run) == {"loud": "BY TWO"}
    assert room.attempts(run, "loud") == ["waiting", "waiting", "completed"]


def test_one_that_answers_at_once_is_not_left(room, alice, settings):
    with serving(lambda _: Answer(200, body=b'{"output": "HELLO"}')) as agent:
        settings.ORCHESTRA_EGRESS_ALLOW = [agent.address]
        join(alice, "one", endpoint=agent.url, heartbeat_interval=10)

        run = room.finish(workflow({"loud": shouting()}))

    assert room.output(run) == {"loud": "HELLO"}
    assert room.attempts(run.pk, "loud") == ["completed"]


def test_another_organization_neither_gets_the_task_nor_ends_it(room, alice, charlie, one):
    left(room)
    arrive(charlie, "theirs")
    task = claim(alice, "one")

    answer = finish(charlie, "theirs", task, output="THEIRS")

    assert answer.status_code == 404
    assert states() == ["claimed"]
