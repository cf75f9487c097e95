"""Roles at work in runs: with a real model on loopback and the organization's prompts, or by rules without one."""

import json
from typing import Any

import pytest

from apps.agents.roles.catalogue import find_role
from apps.agents.services.definitions import save_agent
from apps.agents.services.roles import reset_prompt, save_prompt
from apps.integrations.models import ModelSetting
from orchestra.sdk import AgentFactory, WorkflowPatterns
from tests.engine.documents import workflow
from tests.fixtures import Actor
from tests.language_models.chat_server import Answer, ChatServer, in_turn
from tests.language_models.conftest import Desk, desk, server  # noqa: F401 - fixtures
from tests.workflows.engine_room import EngineRoom
from tests.workflows.test_models_in_runs import part

PLAN = {"summary": "A form.", "plan": ["Write it", "Test it"]}
REVIEW = {"summary": "One gap.", "plan": ["Test it"], "approved": False}
REVIEW |= {"findings": [{"about": "form", "finding": "No limit", "remedy": "Add one"}]}
OVERLOADED = Answer(status=429, headers={"retry-after": "60"}, error={"error": {"message": "Later."}})


def said(answer: Any) -> Answer:
    return Answer(json.dumps(answer))


def system(question: dict[str, Any]) -> str:
    (first,) = (one["content"] for one in question["messages"] if one["role"] == "system")
    return str(first)


@pytest.fixture
def smart(desk: Desk, server: ChatServer) -> ChatServer:  # noqa: F811
    """The organization's default model."""
    desk.setting(desk.provider(server), is_default=True)
    server.answer = lambda _: said(PLAN)
    return server


def role(name: str = "frontend", **fields: Any) -> dict[str, Any]:
    return {"type": "agent", "agent": name, "input": {"task": "Create a login form"}, **fields}


def edit(room: EngineRoom, text: str, name: str = "frontend") -> None:
    with room.scope():
        save_prompt(organization=room.organization, role=name, text=text, by="user:alice")


def test_a_role_asks_the_default_model_with_its_prompt(room: EngineRoom, smart: ChatServer) -> None:
    run = room.finish(workflow({"a": role()}))

    output = room.node_output(run.pk, "a")
    (question,) = smart.asked
    assert output == {
        "role": "frontend",
        "task": "Create a login form",
        "based_on": [],
        **PLAN,
        "method": "model",
        "is_demo": False,
        "model": "smart",
        "turns": 1,
        "tokens": 18,
    }
    assert system(question).startswith(find_role("frontend").prompt)
    assert question["response_format"]["json_schema"]["schema"]["required"] == ["summary", "plan"]


def test_the_prompt_of_the_organization_is_used_and_shown_on_the_run_page(
    room: EngineRoom, smart: ChatServer, alice: Actor
) -> None:
    edit(room, "You draw by hand, and you love teal.")

    run = room.finish(workflow({"a": role()}))

    assert system(smart.asked[0]).startswith("You draw by hand, and you love teal.\n")
    assert "You draw by hand, and you love teal." in part(alice, run.pk, "inspector?node=a&tab=model")


def test_without_a_model_of_its_own_a_role_works_by_rules_and_says_so(room: EngineRoom) -> None:
    edit(room, "Never asked.")

    run = room.finish(workflow({"a": role(), "b": role(model="demo/scripted")}))

    for node in ("a", "b"):
        output = room.node_output(run.pk, node)
        assert (output["method"], output["is_demo"]) == ("rules", True)
        assert any("password" in step for step in output["plan"])


def test_a_node_may_name_the_model_and_its_settings(room: EngineRoom, desk: Desk, server: ChatServer) -> None:  # noqa: F811
    desk.setting(desk.provider(server))
    server.answer = lambda _: said(PLAN)

    run = room.finish(
        workflow({"a": role(model="smart", config={"options": {"temperature": 0.3}}), "b": role()}),
    )

    assert room.node_output(run.pk, "a")["method"] == "model"
    assert room.node_output(run.pk, "b")["method"] == "rules"
    assert [question["temperature"] for question in server.asked] == [0.3]


def test_a_role_may_be_given_tools(room: EngineRoom, smart: ChatServer) -> None:
    answer = {"summary": "Known.", "plan": [], "questions": ["Why?"], "search_terms": ["pumps"]}
    smart.answer = in_turn(Answer("", calls=[("demo.search", '{"query": "pumps"}')]), said(answer))

    run = room.finish(workflow({"a": role("research", config={"tools": ["demo.search"]})}))

    output = room.node_output(run.pk, "a")
    assert (output["questions"], output["turns"]) == (["Why?"], 2)
    assert output["known_before"] == []


def test_all_attempts_of_a_visit_ask_the_model_and_the_prompt_that_the_first_one_found(
    room: EngineRoom, smart: ChatServer
) -> None:
    smart.answer = in_turn(OVERLOADED, said(PLAN))
    edit(room, "The first.")
    run = room.start(workflow({"a": role(retry={"attempts": 2, "delay": 0})}))
    room.work()
    edit(room, "The second.")
    with room.scope():
        ModelSetting.objects.update(is_default=False)

    room.pass_time(120)
    room.work()

    assert room.node_output(run, "a")["method"] == "model"
    assert [system(question).split("\n")[0] for question in smart.asked] == ["The first.", "The first."]


def test_an_answer_in_another_form_is_sent_back(room: EngineRoom, smart: ChatServer) -> None:
    smart.answer = in_turn(Answer("I would start with the form."), said(PLAN))

    run = room.finish(workflow({"a": role()}))

    assert room.node_output(run.pk, "a")["turns"] == 2


def test_a_prompt_that_was_set_back_is_the_built_in_one(room: EngineRoom, smart: ChatServer) -> None:
    edit(room, "Mine.")
    with room.scope():
        reset_prompt(organization=room.organization, role="frontend", by="user:alice")

    room.finish(workflow({"a": role()}))

    assert system(smart.asked[0]).startswith(find_role("frontend").prompt)


def test_another_organization_keeps_its_own_prompt(room: EngineRoom, smart: ChatServer, charlie: Actor) -> None:
    edit(EngineRoom(charlie.organization), "Charlie's.")

    room.finish(workflow({"a": role()}))

    assert system(smart.asked[0]).startswith(find_role("frontend").prompt)


def test_what_a_model_found_is_what_the_next_role_goes_by(room: EngineRoom, smart: ChatServer) -> None:
    smart.answer = in_turn(said(REVIEW))
    after = {"type": "agent", "agent": "debugger", "model": "demo/scripted"}
    after["input"] = {"task": "Mend it", "context": "{{ nodes.a.output }}"}

    run = room.finish(workflow({"a": role("qa"), "b": {**after, "needs": "a"}}))

    assert room.node_output(run.pk, "b")["fixes"] == [{"about": "form", "finding": "No limit", "fix": "Add one"}]


@pytest.mark.parametrize(
    "document",
    [
        WorkflowPatterns.full_stack_development_pipeline("Build a {{ login }} page"),
        WorkflowPatterns.code_review_pipeline("print('{{ x }}')", "Python"),
        WorkflowPatterns.coordinator_supervised_workflow("Build a login page"),
    ],
    ids=["full-stack", "review", "supervised"],
)
def test_a_team_of_the_sdk_runs_as_it_is(alice: Actor, room: EngineRoom, document: dict[str, Any]) -> None:
    run = alice.client.post("/run-graph", document, format="json")
    assert run.status_code in {200, 201, 202}, run.content

    ended = room.until_ended(run.json()["workflow_id"])

    assert ended.status == "completed"
    outputs = [room.node_output(ended.pk, task["agent_id"]) for task in document["tasks"]]
    assert [output["role"] for output in outputs] == [task["agent_role"] for task in document["tasks"]]


def test_what_looks_like_an_expression_in_reviewed_code_is_code(room: EngineRoom, smart: ChatServer) -> None:
    smart.answer = lambda _: said({**REVIEW, "fixes": [], "strengths": []})
    document = WorkflowPatterns.code_review_pipeline("<b>{{ user.name }}</b>", "Vue")

    room.finish(document)

    assert all("<b>{{ user.name }}</b>" in question["messages"][-1]["content"] for question in smart.asked)
    assert len(smart.asked) == 3


def test_an_agent_out_of_a_role_is_saved_and_works_under_its_own_name(room: EngineRoom, smart: ChatServer) -> None:
    made = AgentFactory.create_agent("qa", "our-reviewer", "smart", 0.7)
    smart.answer = lambda _: said(REVIEW)
    with room.scope():
        save_agent(organization=room.organization, name=made["name"], document=made["agent"], by="user:alice")

    run = room.finish(workflow({"a": role("our-reviewer")}))

    assert room.node_output(run.pk, "a") == REVIEW
    assert (smart.asked[0]["temperature"], system(smart.asked[0])) == (0.7, find_role("qa").prompt)


def test_an_agent_that_an_organization_has_made_comes_before_a_role_of_its_name(
    room: EngineRoom, smart: ChatServer
) -> None:
    with room.scope():
        document = {"instructions": "You rhyme."}
        save_agent(organization=room.organization, name="writer", document=document, by="user:alice")
    smart.answer = lambda _: Answer("Roses are red.")

    run = room.finish(workflow({"a": role("writer")}))

    assert room.node_output(run.pk, "a")["text"] == "Roses are red."
    assert system(smart.asked[0]) == "You rhyme."
