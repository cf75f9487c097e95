"""What a run's trace tells of its calls of models and tools: each once, with its true time, and never what was said."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from apps.agents.services.definitions import save_agent
from apps.common.errors import Fatal, Retryable
from apps.integrations import registry as tools
from apps.integrations.language_models import Message, ToolCall
from apps.integrations.language_models import registry as models
from apps.integrations.tools import tool
from tests.agents.parrot import Parrot, said, wants
from tests.engine.documents import workflow
from tests.fixtures import Actor
from tests.language_models.chat_server import Answer, ChatServer
from tests.language_models.conftest import Desk, desk, no_rest, server  # noqa: F401 - fixtures
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import probe


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    parrot = Parrot(said("Done"))
    models.register(parrot)
    yield parrot
    models.unregister(parrot.name)


@pytest.fixture
def errors() -> Iterator[list[Exception]]:
    """What the tools `test.look` and `test.send` raise at their next calls."""
    waiting: list[Exception] = []

    def answer() -> str:
        if waiting:
            raise waiting.pop(0)
        return "a secret answer"

    @tool(name="test.look")
    def look(text: str) -> str:
        """Reads."""
        return answer()

    @tool(name="test.send", effect="external_write", repeat="keyed")
    def send(text: str) -> str:
        """Sends."""
        return answer()

    yield waiting
    for name in ("test.look", "test.send"):
        tools.unregister(name)


def asks(room: EngineRoom, parrot: Parrot, *, approval: str = "never", attempts: int = 2) -> dict[str, Any]:
    granted = ["test.look", {"tool": "test.send", "approval": approval}]
    document = {"model": parrot.name, "tools": granted}
    with room.scope():
        save_agent(organization=room.organization, name="clerk", document=document, by="user:alice")
    retry = {"attempts": attempts, "delay": 0}
    return workflow({"a": {"type": "agent", "agent": "clerk", "input": {"task": "A secret task"}, "retry": retry}})


def spans(actor: Actor, run: Any) -> list[dict[str, Any]]:
    answer = actor.client.get(f"/v1/runs/{run.pk}/trace")
    assert "secret" not in answer.content.decode()
    found: list[dict[str, Any]] = answer.json()["spans"]
    assert len({span["span_id"] for span in found}) == len(found)
    return found


def named(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [span for span in found if span["name"] == name]


def outcomes(found: list[dict[str, Any]], name: str) -> list[tuple[str, str, str | None]]:
    attributes = [(span["status"], span["attributes"]) for span in named(found, name)]
    return [(status, told["orchestra.call.outcome"], told.get("error.type")) for status, told in attributes]


def parents(found: list[dict[str, Any]], name: str) -> list[str]:
    by_id = {span["span_id"]: span["name"] for span in found}
    return [by_id[span["parent_span_id"]] for span in named(found, name)]


def test_a_call_that_answers_for_others_names_them_with_their_errors(
    room: EngineRoom,
    desk: Desk,  # noqa: F811
    server: ChatServer,  # noqa: F811
    alice: Actor,
) -> None:
    server.answer = lambda asked: Answer("Fine") if asked["model"] == "m" else Answer(status=500)
    provider = desk.provider(server)
    desk.setting(provider, "dear", model="dear", fallbacks=["smart"])
    desk.setting(provider)
    node = {"type": "agent", "agent": "assistant", "model": "dear", "input": {"task": "Hi"}}

    for _ in range(5):
        run = room.finish(workflow({"a": node}))
    found = spans(alice, run)

    (answered,) = named(found, "chat smart")
    told = answered["attributes"]
    assert told["orchestra.passed_over.models"] == ["dear"]
    assert told["orchestra.passed_over.errors"] == ["circuit_open"], "after some failures it is not asked any more"
    assert told["orchestra.passed_over.ms"][0] >= 0
    assert (told["orchestra.cost.is_priced"], "orchestra.cost.micro_dollars" in told) == (False, False)
    assert named(found, "chat dear") == [], "it was not asked"


def test_a_provider_has_the_name_that_opentelemetry_knows_it_by(
    room: EngineRoom,
    desk: Desk,  # noqa: F811
    server: ChatServer,  # noqa: F811
    alice: Actor,
) -> None:
    desk.setting(desk.provider(server, name="work", kind="mistral"))
    node = {"type": "agent", "agent": "assistant", "model": "smart", "input": {"task": "Hi"}}

    run = room.finish(workflow({"a": node}))

    (answered,) = named(spans(alice, run), "chat smart")
    assert answered["attributes"]["gen_ai.provider.name"] == "mistral_ai"


def test_each_call_of_a_tool_is_a_span_that_names_what_the_model_asked_for(
    room: EngineRoom, parrot: Parrot, errors: list[Exception], alice: Actor
) -> None:
    secret = {"text": "a secret"}
    asked = ToolCall(id="c1", name="test.look", arguments=secret), ToolCall(id="c2", name="test.send", arguments=secret)
    unfit = ToolCall(id="c3", name="test.send")
    parrot.replies = [Message(role="assistant", tool_calls=(*asked, unfit)), said("A secret answer")]

    run = room.finish(asks(room, parrot))
    found = spans(alice, run)

    (look,), (send,) = named(found, "execute_tool test.look"), named(found, "execute_tool test.send")
    assert look["attributes"] == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "test.look",
        "gen_ai.tool.call.id": "c1",
        "orchestra.call.outcome": "answered",
    }
    assert send["attributes"]["gen_ai.tool.call.id"] == "c2", "what does not fit the tool was not called"
    assert parents(found, "execute_tool test.look") == ["attempt 1"]


def test_a_call_that_failed_is_a_span_too_and_stands_in_its_own_attempt(
    room: EngineRoom, parrot: Parrot, errors: list[Exception], alice: Actor
) -> None:
    parrot.replies = [wants("test.look", text="x"), wants("test.send", text="x"), said("Done")]
    errors += [Fatal("A secret no", code="no"), Retryable("A secret not yet", code="busy")]

    run = room.finish(asks(room, parrot))
    found = spans(alice, run)

    assert run.status == "completed"
    look, send = "execute_tool test.look", "execute_tool test.send"
    assert outcomes(found, look)[0] == ("ERROR", "failed", "no")
    assert outcomes(found, send) == [("ERROR", "failed", "busy"), ("OK", "answered", None)]
    assert parents(found, send) == ["attempt 1", "attempt 2"]
    attempts = {span["span_id"]: span for span in found}
    for span in named(found, send):
        within = attempts[span["parent_span_id"]]
        assert span["start_time"] <= span["end_time"] <= within["end_time"]
    assert attempts[named(found, send)[0]["parent_span_id"]]["attributes"]["error.type"] == "busy"


def test_a_call_of_which_nobody_knows_is_lost(
    room: EngineRoom, parrot: Parrot, errors: list[Exception], alice: Actor
) -> None:
    parrot.replies = [wants("test.send", text="x"), said("Done")]
    errors += [Retryable("Cut off", in_doubt=True)]

    run = room.finish(asks(room, parrot, attempts=1))

    assert [outcome for _, outcome, _ in outcomes(spans(alice, run), "execute_tool test.send")] == ["lost"]


def test_a_call_outside_of_any_model_stands_there_by_the_ledger(
    room: EngineRoom, calls: Any, errors: list[Exception], alice: Actor
) -> None:
    sends = {"type": "tool", "tool": "test.send", "input": {"text": "x"}}
    calls["fails"] = lambda task, ctx: (errors.append(Fatal("No", code="no")), ctx.call_tool("test.send", task))

    run = room.finish(workflow({"sends": sends, "fails": probe("fails", needs="sends", input={"text": "x"})}))

    assert outcomes(spans(alice, run), "execute_tool test.send") == [
        ("OK", "answered", None),
        ("ERROR", "failed", "no"),
    ]


def test_what_waited_for_a_person_began_when_it_was_asked(
    room: EngineRoom, parrot: Parrot, errors: list[Exception], alice: Actor
) -> None:
    parrot.replies = [wants("test.send", text="x"), said("Done")]
    run = room.start(asks(room, parrot, approval="always"))
    room.work()
    room.decide(run, "approve")
    room.work()

    found = spans(alice, room.run(run))

    (decision,), (send,) = named(found, "step decision"), named(found, "execute_tool test.send")
    first, second = named(found, "attempt 1")[0], named(found, "attempt 2")[0]
    assert moment(decision["start_time"]) == moment(first["end_time"])
    assert moment(decision["end_time"]) >= moment(second["start_time"])
    assert parents(found, f"chat {parrot.name}") == ["attempt 1", "attempt 2"]
    assert send["parent_span_id"] == second["span_id"]


def test_the_history_tells_of_each_call_of_a_tool(
    room: EngineRoom, parrot: Parrot, errors: list[Exception], alice: Actor
) -> None:
    parrot.replies = [wants("test.look", text="a secret"), said("Done")]
    errors += [Fatal("A secret no", code="no")]
    run = room.finish(asks(room, parrot))

    events = alice.client.get(f"/v1/runs/{run.pk}/events").json()["items"]

    (told,) = [event["data"] for event in events if event["type"] == "tool.called"]
    assert (told["tool"], told["outcome"], told["error"]) == ("test.look", "failed", "no")
    assert "secret" not in str(told)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
