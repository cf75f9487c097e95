"""Agents made of a prompt at work in runs: their versions, their money, and the people they ask."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django_scopes import scope

from apps.agents.services.definitions import save_agent
from apps.agents.services.trials import chosen, end_trial, start_trial
from apps.integrations import registry as tools
from apps.integrations.language_models import registry as models
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.tools import tool
from apps.observability.models import Budget, BudgetAccount, Usage
from apps.observability.services import accounting
from apps.workflows.models import Approval, Run, RunEvent
from apps.workflows.services import runs
from tests.agents.parrot import Parrot, said, wants
from tests.engine.documents import workflow
from tests.language_models.chat_server import Answer, ChatServer, chatting, in_turn
from tests.workflows.engine_room import EngineRoom


@pytest.fixture
def sent() -> Iterator[list[str]]:
    """To whom something was sent."""
    calls: list[str] = []

    @tool(name="test.send", effect="external_write", repeat="keyed")
    def send(to: str) -> str:
        """Sends."""
        calls.append(to)
        return "sent"

    yield calls
    tools.unregister("test.send")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chatting() as running:
        yield running


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    parrot = Parrot(said("Done"))
    models.register(parrot)
    yield parrot
    models.unregister(parrot.name)


def make(room: EngineRoom, name: str, **document: Any) -> None:
    with room.scope():
        save_agent(organization=room.organization, name=name, document=document, by="user:alice")


def priced(room: EngineRoom, server: ChatServer, settings: Any) -> None:
    settings.ORCHESTRA_EGRESS_ALLOW |= {server.address}
    with room.scope():
        provider = ModelProvider.objects.create(
            organization=room.organization, name="local", kind="openai_compatible", base_url=server.url
        )
        prices = {"input_price": Decimal(1), "output_price": Decimal(10)}
        ModelSetting.objects.create(
            organization=room.organization,
            provider=provider,
            name="smart",
            model="m",
            options={"max_tokens": 10},
            **prices,
        )


def node(agent: str, **fields: Any) -> dict[str, Any]:
    return {"type": "agent", "agent": agent, "input": {"task": "Go"}, **fields}


def test_an_agent_of_the_organization_works_in_its_workflows(room: EngineRoom, parrot: Parrot) -> None:
    make(room, "poet", instructions="Rhyme.", model=parrot.name, capabilities=["poetry"])
    by_capability = {"type": "agent", "capability": "poetry", "input": {"task": "Go"}}

    run = room.finish(workflow({"a": node("poet"), "b": by_capability}))

    assert run.status == "completed"
    assert {asked.messages[0].content for asked in parrot.asked} == {"Rhyme."}
    assert len(parrot.asked) == 2


def test_all_attempts_of_a_visit_have_the_version_that_the_first_one_had(
    room: EngineRoom, parrot: Parrot, sent: Any
) -> None:
    make(room, "clerk", instructions="One.", model=parrot.name, tools=[{"tool": "test.send", "approval": "always"}])
    parrot.replies = [wants("test.send", to="ada"), said("Done")]
    run = room.start(workflow({"a": node("clerk")}))
    room.work()
    make(room, "clerk", instructions="Two.", model=parrot.name)

    room.decide(run, "approve")
    room.work()

    assert room.run(run).status == "completed"
    assert [asked.messages[0].content for asked in parrot.asked] == ["One.", "One."]


def test_all_attempts_of_a_visit_have_the_version_on_trial_that_the_first_one_had_and_count_once(
    room: EngineRoom, parrot: Parrot, sent: Any
) -> None:
    for words in ("One.", "Two."):
        make(room, "clerk", instructions=words, model=parrot.name, tools=[{"tool": "test.send", "approval": "always"}])
    tried = {"organization": room.organization, "name": "clerk", "by": "user:alice"}
    with room.scope():
        trial = start_trial(against=1, percent=50, **tried).trial
    parrot.replies = [wants("test.send", to="ada"), said("Done")]
    run = room.start(workflow({"a": node("clerk")}))
    room.work()
    with room.scope():
        end_trial(keep=1, **tried)

    room.decide(run, "approve")
    room.work()

    assert room.run(run).status == "completed"
    number = chosen(trial, str(run))
    assert [asked.messages[0].content for asked in parrot.asked] == [["One.", "Two."][number - 1]] * 2
    with room.scope():
        assert list(trial.figures.values_list("number", "visits", "turns")) == [(number, 1, 2)]


def test_a_person_agrees_to_the_very_call_and_what_was_done_before_is_not_done_again(
    room: EngineRoom, parrot: Parrot, sent: list[str]
) -> None:
    make(room, "clerk", model=parrot.name, tools=[{"tool": "test.send", "approval": "always", "assignees": ["bob"]}])
    parrot.replies = [wants("test.send", to="ada"), wants("test.send", to="eve"), said("Done")]
    run = room.start(workflow({"a": node("clerk")}))

    room.work()
    first = open_approval(room)
    before, waiting = list(sent), room.run(run).status
    room.decide(run, "approve", by="user:bob")
    room.work()
    between, second = list(sent), open_approval(room)
    room.decide(run, "reject", by="user:bob")
    room.work()

    assert (first.message, first.assignees) == ("May clerk call test.send?", ["bob"])
    assert first.payload == {"tool": "test.send", "arguments": {"to": "ada"}}
    assert second.payload["arguments"] == {"to": "eve"}
    assert (before, waiting, between, sent) == ([], "waiting", ["ada"], ["ada"])
    assert (room.run(run).status, len(parrot.asked)) == ("completed", 3)
    assert room.node(run, "a").attempt == 1


def test_it_runs_a_workflow_as_a_tool_and_goes_on_with_its_output(room: EngineRoom, parrot: Parrot) -> None:
    inputs = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    room.save(
        {"name": "double", "inputs": inputs, "nodes": {"d": {"type": "set", "values": {"x": "{{ inputs.n * 2 }}"}}}}
    )
    make(room, "clerk", model=parrot.name, workflows=["double"])
    parrot.replies = [wants("run_double", n="many"), wants("run_double", n=21), said("Done")]

    run = room.finish(workflow({"a": node("clerk")}))

    assert run.status == "completed"
    assert "does not fit the workflow" in parrot.asked[1].messages[-1].content
    assert '"x":42' in parrot.asked[2].messages[-1].content
    assert parrot.asked[0].tools[0].parameters == inputs
    with room.scope():
        child = Run.objects.exclude(pk=run.pk).get()
    assert (child.parent_id, child.status) == (run.pk, "completed")


def test_a_run_that_reaches_a_budget_pauses_and_goes_on_when_there_is_more(
    room: EngineRoom, server: ChatServer, settings: Any
) -> None:
    priced(room, server, settings)
    server.answer = in_turn(Answer("", calls=[("demo_search", '{"query": "tea"}')], usage=(100, 10)), Answer("Done"))
    make(room, "poet", model="smart", tools=["demo.search"], options={"max_tokens": 10})
    with room.scope():
        Budget.objects.create(organization=room.organization, name="each run", scope="run", limit_micro_usd=900)
    run = room.start(workflow({"a": node("poet")}))

    room.work()
    paused, calls = room.run(run).status, len(server.asked)
    with room.scope():
        told = RunEvent.objects.get(run=run, type="run.paused").data
        account = BudgetAccount.objects.get()
        accounting.allow_more(account.pk, 1_000_000)
    runs.resume_run(run, by="user:alice")
    ended = room.until_ended(run)

    assert (paused, calls) == ("paused", 1)
    assert (told["by"], told["account"]) == ("budget", str(account.pk))
    assert "'each run' of $0.0009 has" in told["reason"]
    assert ended.status == "completed"
    assert len(server.asked) == 2  # the first answer was paid for once
    with room.scope():
        assert sum(Usage.objects.values_list("cost_micro_usd", flat=True)) == 200 + 81


def test_a_budget_that_is_to_fail_fails_the_node(room: EngineRoom, server: ChatServer, settings: Any) -> None:
    priced(room, server, settings)
    with room.scope():
        Budget.objects.create(
            organization=room.organization, name="none", scope="organization", limit_micro_usd=1, at_cap="fail"
        )

    run = room.finish(workflow({"a": node("assistant", model="smart")}))

    assert (run.status, run.error["code"]) == ("failed", "budget_reached")


def test_each_call_is_told_and_counted_for_its_run(room: EngineRoom, server: ChatServer, settings: Any) -> None:
    priced(room, server, settings)

    run = room.finish(workflow({"a": node("assistant", model="smart")}))

    with room.scope():
        usage = Usage.objects.get()
        told = RunEvent.objects.get(run=run, type="llm.called").data
    assert (usage.run_id, usage.node, usage.agent, usage.workflow) == (run.pk, "a", "assistant", run.name)
    assert (told["model"], told["input_tokens"], told["output_tokens"], told["cost_micro_usd"]) == ("smart", 11, 7, 81)


def test_the_trace_of_a_run_has_each_question_with_what_it_took_and_nothing_of_what_was_said(
    room: EngineRoom, server: ChatServer, settings: Any, alice: Any
) -> None:
    priced(room, server, settings)
    server.answer = in_turn(Answer(status=500, headers={"Retry-After": "0"}), Answer("A secret answer"))
    run = room.finish(workflow({"a": node("assistant", model="smart", input={"task": "A secret task"})}))

    answer = alice.client.get(f"/v1/runs/{run.pk}/trace")

    root, _, attempt, refused, answered = answer.json()["spans"]
    assert (refused["name"], refused["status"], answered["status"]) == ("chat smart", "ERROR", "OK")
    assert refused["parent_span_id"] == answered["parent_span_id"] == attempt["span_id"]
    assert refused["attributes"]["error.type"] == "model_unavailable"
    assert answered["kind"] == "CLIENT"
    took = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "local",
        "gen_ai.request.model": "smart",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "orchestra.cost.micro_usd": 81,
        "orchestra.model.outcome": "answered",
    }
    assert answered["attributes"].items() >= took.items()
    assert root["attributes"]["orchestra.cost.micro_usd"] == 81
    assert "secret" not in answer.content.decode()


def test_a_model_that_does_not_answer_is_left_alone_and_its_fallback_asked(
    room: EngineRoom, server: ChatServer, settings: Any
) -> None:
    priced(room, server, settings)
    with room.scope():
        smart = ModelSetting.objects.get()
        smart.fallbacks = ["backup"]
        smart.save()
        ModelSetting.objects.create(
            organization=room.organization, provider=smart.provider, name="backup", model="backup"
        )
    down = Answer(status=500, error={"error": {"message": "down"}})
    server.answer = lambda asked: Answer("From the backup") if asked["model"] == "backup" else down

    for _ in range(6):
        assert room.finish(workflow({"a": node("assistant", model="smart")})).status == "completed"

    asked = [question["model"] for question in server.asked]
    assert asked.count("backup") == 6
    assert asked.count("m") < 6  # after some failures it is not asked any more


def open_approval(room: EngineRoom) -> Approval:
    with scope(organization=room.organization):
        return Approval.objects.get(status="open")
