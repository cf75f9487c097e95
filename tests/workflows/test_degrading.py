"""An agent node that cannot be worked on goes on with the steps of its `degrade`, and its run says which answered."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.agents import registry
from apps.agents.sdk import Agent, BaseModel
from apps.agents.services import delivery
from apps.agents.store import figures
from apps.agents.store.figures import BREAKER_FAILURES
from apps.common.errors import Fatal, Invalid, Retryable
from apps.workflows import selectors
from apps.workflows.management.following import tree_lines
from apps.workflows.models import Run
from apps.workflows.nodes.base import Failed, NodeError
from apps.workflows.serializers.history import sentence
from apps.workflows.serializers.runs import started_run
from apps.workflows.services import runs
from apps.workflows.services.runs import Order
from apps.workflows.store.database import transaction
from tests.agents.live import join, pass_time
from tests.engine.documents import workflow
from tests.fixtures import signed_in
from tests.language_models.chat_server import Answer
from tests.language_models.conftest import desk, no_rest, server  # noqa: F401 - fixtures
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import probe
from tests.workflows.test_models_in_runs import part, text

BROKEN = Fatal("It is broken.", code="broken")


@pytest.fixture
def judges():
    """Two agents that can judge: one that fails, and one that answers in its place; notes who was asked."""
    asked = []

    class First(Agent):
        """Fails."""

        name, capabilities = "aa_first", ["judge"]

        class Output(BaseModel):
            verdict: str

        def exec(self, task, ctx):
            asked.append("first")
            raise Retryable("Too hard.")

    class Second(Agent):
        """Answers."""

        name, capabilities = "zz_second", ["judge", "sing"]

        def exec(self, task, ctx):
            asked.append("second")
            return {"verdict": ctx.step("judge", lambda: asked.append("thinks") or "fair")}

    yield asked
    for name in ("aa_first", "zz_second"):
        registry.unregister(name)


def node(*steps: Any, **fields: Any) -> dict[str, Any]:
    return workflow({"ask": {"type": "agent", "agent": "aa_first", "input": {}, "degrade": list(steps), **fields}})


def degraded(room: EngineRoom, run: UUID, **which: Any) -> Any:
    return room.node(run, "ask", **which).state.get("degraded")


def saved(room: EngineRoom, definition: dict[str, Any], given: dict[str, Any] | None = None) -> UUID:
    """A run of a workflow that is kept."""
    with room.scope():
        version = room.save(definition).version
        return runs.start_run(organization=room.organization, version=version, order=Order(input=given or {}))


# ---- each step --------------------------------------------------------------------------------------


def test_another_agent_that_can_do_the_same_answers_when_every_attempt_has_failed(room, judges):
    run = room.finish(node("other_agent", retry={"attempts": 2, "delay": 1}))

    assert judges == ["first", "first", "second", "thinks"]
    assert room.node_output(run.pk, "ask") == {"verdict": "fair"}
    assert degraded(room, run.pk) == {
        "stage": 0,
        "step": "other_agent",
        "name": "",
        "passed": [{"step": "own agent", "code": "retryable", "message": "Too hard."}],
        "by": {"agent": "zz_second"},
    }


def test_nobody_stands_in_for_an_agent_that_can_do_more_than_they_can(room, judges, calls):
    calls["fails"] = _fails

    class Able(Agent):
        """Can do what nobody else can beside it."""

        name, capabilities = "able", ["judge", "fly"]

        def exec(self, task, ctx):
            raise BROKEN

    try:
        able = room.finish(node("other_agent", agent="able"))
    finally:
        registry.unregister("able")
    unknown = room.finish(workflow({"ask": probe("fails", degrade=["other_agent"])}))

    assert "other_agent: Nobody else can do 'judge' now" in room.error(able.pk)["message"]
    assert "other_agent: What the agent 'probe' can do is not known" in room.error(unknown.pk)["message"]


def test_a_capability_whose_agents_are_all_left_alone_goes_on_at_once(room, judges, calls):
    for name in ("aa_first", "zz_second"):
        for _ in range(BREAKER_FAILURES):
            figures.record(room.organization.pk, name, "judge", success=False, ms=1)
    asked = {"type": "agent", "capability": "judge", "input": {}, "retry": {"attempts": 5, "delay": 60}}

    run = room.start(workflow({"ask": asked | {"degrade": ["other_agent", {"agent": "probe"}]}}))
    calls["ask"] = lambda task, ctx: {"verdict": "by the probe"}
    room.work()

    assert (room.status(run), judges) == ("completed", [])
    assert [one["code"] for one in degraded(room, run)["passed"]] == ["circuit_open", "no_other_agent"]
    assert degraded(room, run)["by"] == {"agent": "probe"}


def test_a_capability_goes_on_with_who_has_not_tried_yet(room, judges):
    asked = {"type": "agent", "capability": "judge", "input": {}, "degrade": ["other_agent"]}

    run = room.finish(workflow({"ask": asked}))

    assert judges == ["first", "second", "thinks"]
    assert degraded(room, run.pk)["by"] == {"agent": "zz_second"}


def test_an_agent_outside_of_which_no_instance_lives_is_not_waited_for(room, alice, monkeypatch, calls):
    monkeypatch.setattr(delivery, "NOBODY_SECONDS", 0.1)
    calls["ask"] = lambda task, ctx: {"text": "HEY"}
    join(alice, "one")
    pass_time(60, "one")

    run = room.start(node({"agent": "probe"}, agent="shouter", input={"text": "hey"}))
    room.work()

    assert (room.status(run), room.node_output(run, "ask")) == ("completed", {"text": "HEY"})
    assert degraded(room, run)["passed"][0]["code"] == "no_live_agent"


def test_another_model_goes_on_where_the_first_one_stopped(room, desk, server):  # noqa: F811
    provider = desk.provider(server)
    desk.setting(provider, "smart", model="large")
    desk.setting(provider, "small", model="small")

    def answer(question):
        if question["model"] == "small":
            return Answer("Done")
        if len(question["messages"]) > 2:
            return Answer(status=400)
        return Answer(calls=[("demo.search", '{"query": "a"}')])

    server.answer = answer
    asked = {"model": "smart", "input": {"task": "Look."}, "config": {"tools": ["demo.search"]}}

    run = room.finish(node({"model": "small"}, agent="assistant", **asked))

    assert (run.status, room.node_output(run.pk, "ask")["text"]) == ("completed", "Done")
    assert [one["model"] for one in server.asked] == ["large", "large", "small"], "its first answer stands"
    assert degraded(room, run.pk)["by"] == {"agent": "assistant", "model": "small"}


def test_the_last_good_answer_to_the_same_input_is_given_again(room, calls):
    asked = workflow({"ask": probe("answers", input="{{ inputs }}", degrade=["cached"])})
    calls["answers"] = lambda task, ctx: {"said": task["about"], "at": calls.calls["answers"]}
    good = saved(room, asked, {"about": "tea"})
    saved(room, asked, {"about": "milk"})
    room.work()
    calls["answers"] = _fails

    run = saved(room, asked, {"about": "tea"})
    room.work()
    again = saved(room, asked, {"about": "tea"})
    room.work()

    for one in (run, again):
        assert room.node_output(one, "ask") == {"said": "tea", "at": 1}
        assert degraded(room, one)["by"]["run"] == str(good), "an answer that was degraded is no good one"


def test_an_answer_that_is_too_old_or_was_given_to_something_else_is_none(room, calls):
    asked = workflow({"ask": probe("answers", input="{{ inputs }}", session="one", degrade=[{"cached": "10m"}])})
    room.grow_old(run := saved(room, asked))
    room.work()
    with room.history_open():
        _grow_old(room.node(run, "ask").pk)
    calls["answers"] = _fails
    others = {
        "too old": saved(room, asked),
        "other settings": saved(room, workflow({"ask": {**asked["nodes"]["ask"], "config": {"label": "others"}}})),
    }
    calls["others"] = _fails
    room.work()

    for why, one in others.items():
        assert room.status(one) == "failed", why
        assert "cached: This node has no earlier good answer to this input." in room.error(one)["message"]


def test_nothing_is_known_of_what_another_organizations_node_has_answered(room, calls, other_organization):
    asked = workflow({"ask": probe("answers", input={}, degrade=["cached"])})
    other = EngineRoom(other_organization)
    saved(other, asked)
    other.work()
    calls["answers"] = _fails

    run = saved(room, asked)
    room.work()

    assert room.status(run) == "failed"


def test_a_person_gives_the_answer_in_the_form_that_the_agent_would_have_given_it_in(room, judges):
    run = room.start(node("person", input={"case": 7}))
    room.work()
    question = room.approval(run)
    assert (question.payload, question.message) == (
        {"case": 7},
        "The agent 'aa_first' gives no answer: Too hard. What is it?",
    )
    assert (list(question.form["properties"]), question.form["required"]) == (["verdict"], ["verdict"])

    room.decide(run, "approve", {"verdict": "guilty"})
    room.work()

    assert (room.status(run), room.node_output(run, "ask")) == ("completed", {"verdict": "guilty"})
    assert degraded(room, run)["by"] == {"person": "user:ana"}


def test_a_person_is_asked_for_the_text_and_not_for_what_it_took(room):
    run = room.start(node("person", agent="assistant", model="large", input={"task": "Hm?"}))
    room.work()

    form = room.approval(run).form
    with pytest.raises(Invalid) as refused:
        room.decide(run, "approve", {"text": ""})

    assert (list(form["properties"]), form["required"]) == (["text"], ["text"])
    assert [error.pointer for error in refused.value.errors] == ["/data/text"]


def test_a_person_is_asked_for_the_data_that_the_node_has_the_model_give(room):
    wanted = {"type": "object", "required": ["mood"], "properties": {"mood": {"type": "string"}}}
    asked = {"agent": "assistant", "model": "large", "config": {"output_schema": wanted}, "input": {"task": "Hm?"}}
    run = room.start(node("person", **asked))
    room.work()

    room.decide(run, "approve", {"data": {"mood": "bad"}})
    room.work()

    assert room.node_output(run, "ask") == {"data": {"mood": "bad"}}


def test_of_fields_that_an_agent_may_give_a_person_gives_at_least_one(room, alice):
    class Free(Agent):
        """Has nothing that it must give."""

        name = "free"

        class Output(BaseModel):
            one: str = ""
            other: int = 0

        def exec(self, task, ctx):
            raise BROKEN

    try:
        run = room.start(node("person", agent="free"))
        room.work()
        form = room.approval(run).form
    finally:
        registry.unregister("free")

    assert (form["required"], form["minProperties"]) == ([], 1)
    for where in (f"/approvals/{room.approval(run).pk}", f"/runs/{run}/approvals/{room.approval(run).pk}"):
        refused = signed_in(alice).post(where, {"decision": "approve"}, headers={"HX-Request": "true"})
        assert (refused.status_code, "Fill in at least one of these." in refused.content.decode()) == (422, True)


def test_what_a_person_is_asked_is_the_workflows_to_say(room, judges):
    form = {"type": "object", "required": ["guilty"], "properties": {"guilty": {"type": "boolean"}}}
    step = {"person": {"message": "Guilty?", "assignees": "ben", "form": form, "timeout": "1h"}}
    run = room.start(node(step))
    room.work()

    question = room.approval(run)

    assert (question.message, question.assignees, question.form) == ("Guilty?", ["ben"], form)
    assert question.deadline_at is not None


def test_a_person_who_has_no_answer_and_one_who_is_silent_are_steps_that_failed(room, judges, calls):
    refused = room.start(node("person"))
    silent = room.start(node({"person": {"timeout": "1h"}}, {"agent": "probe"}))
    room.work()

    room.decide(refused, "reject", comment="Ask a judge.")
    room.pass_time(3600)
    room.work()

    assert room.status(refused) == "failed"
    assert room.error(refused)["message"] == (
        "Too hard. No step of 'degrade' gave an answer. person: user:ana gives no answer: Ask a judge."
    )
    assert room.error(refused)["code"] == "retryable", "the reason is that of the agent"
    assert (room.status(silent), degraded(room, silent)["by"]) == ("completed", {"agent": "probe"})
    assert degraded(room, silent)["passed"][-1] == {
        "step": "person",
        "code": "timeout",
        "message": "Nobody answered in time.",
    }


# ---- the chain --------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 3))
def test_the_steps_are_taken_in_order_each_once_until_one_answers(room, answers, attempts):
    order: list[str] = []

    def made(number: int) -> type[Agent]:
        class Step(Agent):
            """Answers, or fails in a way that another try may help."""

            name = f"step_{number}"

            def exec(self, task, ctx):
                order.append(self.name)
                if number == 0 or not answers[number - 1]:
                    raise Retryable("Not now.", retry_after=0)
                return {"by": self.name}

        return Step

    names = [made(number).name for number in range(len(answers) + 1)]
    steps = [{"agent": name} for name in names[1:]]
    try:
        run = room.finish(node(*steps, agent="step_0", retry={"attempts": attempts, "delay": 0}))
    finally:
        for name in names:
            registry.unregister(name)

    reached = answers.index(True) + 1 if any(answers) else len(answers)
    assert order == ["step_0"] * attempts + names[1 : reached + 1]
    assert run.status == ("completed" if any(answers) else "failed")
    if any(answers):
        assert room.node_output(run.pk, "ask") == {"by": f"step_{reached}"}
        assert [one["step"] for one in degraded(room, run.pk)["passed"]] == [
            "own agent",
            *(f"agent {name}" for name in names[1:reached]),
        ]


def test_items_of_a_map_degrade_one_by_one(room, judges, calls):
    calls["odd"] = lambda task, ctx: task if task % 2 else _fails(task, ctx)
    inner = probe("odd", input="{{ item }}", degrade=[{"agent": "zz_second"}])

    run = room.finish(workflow({"ask": {"type": "map", "over": [1, 2, 3], "node": inner}}))

    assert room.node_output(run.pk, "ask") == [1, {"verdict": "fair"}, 3]
    assert [bool(degraded(room, run.pk, index=index)) for index in range(3)] == [False, True, False]


def test_what_nobody_else_may_answer_fails_as_it_is(room, judges):
    run = room.finish(node({"agent": "aa_first"}, agent="text_processor", input={"task_type": "no such thing"}))

    assert (room.error(run.pk)["code"], judges, degraded(room, run.pk)) == ("invalid_input", [], None)


def test_expressions_see_which_step_answered(room, judges):
    nodes = {
        **node("cached", "other_agent", save={"how": "{{ nodes.ask.?degraded.orValue('well') }}"})["nodes"],
        "rest": {"type": "wait", "seconds": 1},
        "after": {"values": {"how": "{{ nodes.ask.degraded }}", "saved": "{{ context.how }}"}},
        "never": {},
    }
    edges = [{"from": "ask", "to": "rest", "when": "has(nodes.ask.degraded)"}, "rest after"]
    edges.append({"from": "ask", "to": "never", "when": "!has(nodes.ask.degraded)"})

    run = room.finish(workflow(nodes, edges))

    assert room.node_output(run.pk, "after") == {"how": "other_agent", "saved": "other_agent"}
    assert "never" not in room.statuses(run.pk)


def test_a_person_who_retries_the_run_has_the_own_agent_tried_first(room, calls):
    calls.fails("flaky", BROKEN)
    run = room.start(workflow({"ask": probe("flaky", input={}, degrade=["cached"])}))
    room.work()
    assert (room.status(run), degraded(room, run)["step"]) == ("failed", "cached")

    room.retry(run)
    room.work()

    assert (room.status(run), degraded(room, run), calls.calls["flaky"]) == ("completed", None, 2)


def test_an_error_edge_is_for_a_node_none_of_whose_steps_answered(room, judges):
    nodes = {**node("cached")["nodes"], "mend": {"values": {"was": "{{ nodes.ask.error.code }}"}}}

    run = room.finish(workflow(nodes, [{"from": "ask", "to": "mend", "on": "error"}]))

    assert (run.status, room.node_output(run.pk, "mend")) == ("completed", {"was": "retryable"})


# ---- what people are told ----------------------------------------------------------------------------


def test_a_run_says_which_step_answered_and_why(room, judges, alice, bob, charlie):
    run = room.finish(node("cached", "other_agent")).pk

    told = {
        "step": "other_agent",
        "name": "",
        "passed": [
            {"step": "own agent", "code": "retryable", "message": "Too hard."},
            {
                "step": "cached",
                "code": "no_cached_answer",
                "message": "This node has no earlier good answer to this input.",
            },
        ],
        "by": {"agent": "zz_second"},
    }
    for actor in (alice, bob):
        shown = actor.client.get(f"/v1/runs/{run}").json()
        assert shown["degraded"] == [{**told, "node": "ask", "visit": 1, "index": None}]
        assert shown["nodes"][0]["degraded"] == told
        assert actor.client.get(f"/v1/runs/{run}/nodes").json()["items"][0]["degraded"] == told
    assert charlie.client.get(f"/v1/runs/{run}").status_code == 404


def test_a_run_that_takes_over_a_degraded_answer_says_so_too(room, judges, alice):
    nodes = {**node("other_agent")["nodes"], "after": {"needs": "ask"}}
    first = room.finish(workflow(nodes)).pk
    plain = {name: value for name, value in nodes["ask"].items() if name != "degrade"}

    run = room.fork(first, "after", definition=workflow({**nodes, "ask": plain}))
    room.work()

    assert [one["by"] for one in alice.client.get(f"/v1/runs/{run}").json()["degraded"]] == [{"agent": "zz_second"}]


def test_the_trace_of_a_degraded_node_says_so(room, judges, alice):
    run = room.finish(node({"agent": "zz_second"})).pk

    spans = alice.client.get(f"/v1/runs/{run}/trace").json()["spans"]

    attributes = next(span["attributes"] for span in spans if span["name"] == "node ask")
    assert {name: value for name, value in attributes.items() if ".degraded." in name} == {
        "orchestra.degraded.step": "agent",
        "orchestra.degraded.reason": "retryable",
        "orchestra.degraded.by.agent": "zz_second",
    }


def test_who_waits_for_the_output_is_told_that_it_is_degraded(room, judges):
    good = room.finish(node("other_agent", agent="zz_second", input={"a": 1}))
    run = room.finish(node("other_agent"))

    with room.scope():
        told = [started_run(one)["degraded"] for one in (good, run)]
    assert told[0] == []
    assert [(one["node"], one["by"]) for one in told[1]] == [("ask", {"agent": "zz_second"})]


def test_the_history_tells_each_step(room, judges):
    run = room.finish(node("cached", {"agent": "zz_second"})).pk

    told = [sentence(event) for event in room.events(run)]

    assert "goes on with its last good answer: Too hard." in told
    assert "goes on with the agent zz_second: This node has no earlier good answer to this input." in told
    assert "completed, degraded: answered by the agent zz_second" in told


def test_the_page_of_a_run_says_that_an_answer_is_degraded(room, judges, alice, bob, charlie):
    run = room.finish(node("other_agent")).pk
    why = "Degraded: answered by another agent (zz_second). Its own agent: Too hard."

    for actor in (alice, bob):
        assert why in part(actor, run, "head")
        assert why in part(actor, run, "inspector?node=ask")
    assert signed_in(alice).get(f"/runs/{run}/state").json()["rows"][0]["degraded"] is True
    assert ">degraded<" in signed_in(alice).get(f"/runs/{run}").content.decode()
    assert signed_in(charlie).get(f"/runs/{run}/head").status_code == 404


@pytest.mark.parametrize(
    ("more", "named"),
    [(1, "So is b0."), (2, "So are b0 and b1."), (5, "b3 and b4."), (7, "So are b0, b1, b2, b3, b4 and 2 more.")],
)
def test_all_degraded_answers_of_a_run_are_named(room, judges, alice, more, named):
    asked = node("other_agent")["nodes"]["ask"]
    others = {f"b{number}": {**asked, "needs": f"b{number - 1}" if number else "ask"} for number in range(more)}
    run = room.finish(workflow({"ask": asked, **others})).pk

    assert named in part(alice, run, "head")


def test_the_list_of_runs_marks_those_with_degraded_answers(
    room, judges, calls, alice, bob, charlie, django_assert_max_num_queries
):
    run = room.finish(node("other_agent")).pk
    room.finish(workflow({"ask": probe("ask", input={"degraded": {"degrade": 1}}, degrade=["cached"])}))
    nodes = {**node("other_agent")["nodes"], "after": {"needs": "ask"}}
    plain = {name: value for name, value in nodes["ask"].items() if name != "degrade"}
    room.fork(room.finish(workflow(nodes)).pk, "after", definition=workflow({**nodes, "ask": plain}))
    room.work()

    for actor in (alice, bob):
        shown = signed_in(actor).get("/runs").content.decode()
        assert shown.count(">degraded<") == 3, "two runs, and the fork that took an answer over"
    assert ">degraded<" not in signed_in(charlie).get("/runs").content.decode()
    with room.scope():
        every = list(Run.objects.values_list("pk", flat=True))
        with django_assert_max_num_queries(1):
            assert run in selectors.degraded_runs(every)


def test_a_good_answer_is_not_called_degraded(room, judges, alice):
    run = room.finish(node("other_agent", agent="zz_second")).pk

    assert "egraded" not in part(alice, run, "head") + part(alice, run, "inspector?node=ask")


def test_the_page_of_the_question_asks_for_an_answer_and_not_for_leave(room, judges, alice):
    nodes = {**node("person", "cached")["nodes"], "after": {"needs": "ask"}}
    run = room.start(workflow(nodes))
    room.work()
    owner = signed_in(alice)
    question = room.approval(run)

    shown, head = text(owner.get(f"/approvals/{question.pk}")), part(alice, run, "head")

    assert "Answer : the run goes on with after" in shown
    assert "No answer : ask goes on with its last good answer" in shown
    assert "Verdict" in shown
    assert "Approve" not in shown + head
    owner.post(f"/approvals/{question.pk}", {"decision": "approve", "value:verdict": "fair"})
    room.work()
    assert room.node_output(run, "ask") == {"verdict": "fair"}


def test_a_question_in_other_words_still_tells_that_the_agent_failed_and_why(room, judges, alice, bob, charlie):
    own, plain = (room.start(node(step)) for step in ({"person": {"message": "Guilty?"}}, "person"))
    room.work()
    questions = {run: room.approval(run) for run in (own, plain)}
    told = "The agent failed: Too hard."

    for actor in (alice, bob):
        assert told in text(signed_in(actor).get(f"/approvals/{questions[own].pk}"))
        assert told in part(actor, own, "head")
        assert told not in text(signed_in(actor).get(f"/approvals/{questions[plain].pk}")), "the question says it"
        assert told not in part(actor, plain, "head")
    assert signed_in(charlie).get(f"/approvals/{questions[own].pk}").status_code == 404


def test_the_error_of_a_degraded_node_is_that_of_its_own_agent_and_then_of_its_steps(room, judges, alice):
    run = room.start(node("cached", "person"))
    room.work()
    asked = part(alice, run, "inspector?node=ask&tab=output")
    room.decide(run, "reject", comment="Ask a judge.")
    room.work()
    failed = part(alice, run, "inspector?node=ask&tab=output")

    own, cached = "retryable Too hard.", "cached no_cached_answer This node has no earlier good answer to this input."
    assert f"{own} {cached} Degraded: it goes on with a person." in asked
    assert failed.index(own) < failed.index(cached) < failed.index("person_refused user:ana gives no answer: Ask a")
    assert "it goes on with" not in failed


def test_an_empty_answer_is_marked_at_its_field(room, judges, alice):
    run = room.start(node("person"))
    room.work()
    question, owner = room.approval(run), signed_in(alice)

    for where in (f"/approvals/{question.pk}", f"/runs/{run}/approvals/{question.pk}"):
        sent = {"decision": "approve", "value:verdict": ""}
        refused = owner.post(where, sent, headers={"HX-Request": "true"})
        assert refused.status_code == 422
        assert 'name="value:verdict"' in refused.content.decode()
        assert 'aria-invalid="true"' in refused.content.decode()
    assert refused["HX-Retarget"] == f"#fields-{question.pk}"
    assert f'id="fields-{question.pk}"' in owner.get(f"/runs/{run}/head").content.decode()


def test_answers_are_not_given_to_several_questions_at_once(room, judges, alice):
    questions = []
    for _ in range(2):
        run = saved(room, node("person"))
        room.work()
        questions.append(room.approval(run))
    owner = signed_in(alice)

    shown = text(owner.get(f"/approvals/{questions[0].pk}"))
    several = owner.get(f"/approvals/{questions[0].pk}/alike")

    assert "decide several at once" not in shown
    assert several.status_code == 302


def test_the_tree_of_a_run_tells_it_too(room, judges):
    run = room.finish(node("other_agent"))

    with room.scope():
        (line,) = tree_lines(run)

    assert "Degraded: answered by another agent (zz_second). Its own agent: Too hard." in line


# ---- a worker that dies ------------------------------------------------------------------------------


def test_a_step_that_was_under_way_is_taken_up_by_another_worker(room, judges):
    run = room.start(node("other_agent", {"agent": "probe"}))
    claim = room.bring(room.claim(run, "ask"), _failed(), go_on=False)
    assert (claim, degraded(room, run)["step"]) == (None, "other_agent")
    under_way = room.claim(run, "ask")
    room.execute(under_way)
    for _ in range(BREAKER_FAILURES):
        figures.record(room.organization.pk, "zz_second", "judge", success=False, ms=1)

    room.die()
    room.work()

    assert judges == ["second", "thinks", "second"], "the same agent, whose first step the journal knows"
    assert room.node_output(run, "ask") == {"verdict": "fair"}
    assert degraded(room, run)["by"] == {"agent": "zz_second"}


def test_an_answer_that_was_found_is_the_one_that_is_given_after_a_crash(room, calls):
    asked = workflow({"ask": probe("answers", input={}, degrade=["cached"])})
    calls["answers"] = lambda task, ctx: {"at": calls.calls["answers"]}
    first = saved(room, asked)
    room.work()
    run = saved(room, asked)
    room.bring(room.claim(run, "ask"), _failed(), go_on=False)
    room.execute(room.claim(run, "ask"))
    newer = saved(room, asked)
    room.work(most=1)
    assert (room.node_output(first, "ask"), room.node_output(newer, "ask")) == ({"at": 1}, {"at": 2})

    room.die()
    room.work()

    assert room.node_output(run, "ask") == {"at": 1}


def test_a_step_whose_workers_all_die_is_passed_over(room, judges, calls):
    run = room.start(node({"agent": "probe"}, {"agent": "zz_second"}))
    room.bring(room.claim(run, "ask"), _failed(), go_on=False)
    for _ in range(10):
        if degraded(room, run)["stage"]:
            break
        room.claim(run, "ask")
        room.die()
    room.work()

    assert degraded(room, run)["passed"][-1]["code"] == "worker_lost"
    assert room.node_output(run, "ask") == {"verdict": "fair"}


def _fails(task: Any, ctx: Any) -> Any:
    raise BROKEN


def _failed() -> Failed:
    return Failed(NodeError("error", "Too hard.", retryable=True))


def _grow_old(node_run: UUID) -> None:
    with transaction() as tx:
        tx.execute(
            "update workflows_noderun set finished_at = finished_at - interval '1 hour' where id = %(id)s", id=node_run
        )
