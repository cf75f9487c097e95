"""Agents of other people as nodes: real ones on loopback, built with the official SDK."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django_scopes import scope

from apps.agents.services.definitions import save_agent
from apps.common.database import release_connection
from apps.integrations.a2a_client import conversation
from apps.integrations.language_models import registry as models
from apps.integrations.models import A2aAgent
from apps.integrations.services.a2a_agents import accept_card, add_agent, change_agent, refresh_agent
from tests.agents.parrot import Parrot, said, wants
from tests.engine.documents import workflow
from tests.integrations.a2a_servers import Behaviour, listed_agent, serving_agent
from tests.workflows.engine_room import EngineRoom


@pytest.fixture(params=[True, False], ids=["streams", "polled"])
def streaming(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def added(
    room: EngineRoom, behaviour: Behaviour, settings: Any, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> Iterator[A2aAgent]:
    monkeypatch.setattr(conversation, "FIRST_PAUSE", 0.05)
    with serving_agent(behaviour, streaming=streaming) as address:
        settings.ORCHESTRA_EGRESS_ALLOW = [address]
        with room.scope():
            url = f"http://{address}/.well-known/agent-card.json"
            row = add_agent(organization=room.organization, name="weather", card_url=url, enabled=True, by="me")
            refresh_agent(row)
            assert row.problem == ""
            row = accept_card(row, digest=row.digest, by="me")
        yield row
        behaviour.let_go.set()


def node(task: Any, **facts: Any) -> dict[str, Any]:
    return workflow({"ask": {"type": "agent", "agent": "a2a.weather", "input": task, **facts}})


def finish(room: EngineRoom, task: Any) -> Any:
    run = room.start(node(task))
    room.work()
    return room.run(run)


def test_an_agent_elsewhere_is_a_node(room: EngineRoom, added: A2aAgent, behaviour: Behaviour) -> None:
    run = finish(room, {"task": "echo", "city": "Bern"})

    assert run.status == "completed", run.error
    assert room.output(run)["ask"] == {"text": "did echo", "data": {"data": [{"city": "Bern"}], "number": 7}}
    assert len(behaviour.messages) == 1


def test_an_answer_at_once_needs_no_task(room: EngineRoom, added: A2aAgent) -> None:
    run = finish(room, "reply")

    assert room.output(run)["ask"] == {"text": "at once", "data": None}


@pytest.mark.parametrize(
    ("task", "code", "words"), [("fail", "remote_failed", "No such city."), ("ask", "input_required", "Which city?")]
)
def test_what_it_cannot_do_is_told(room: EngineRoom, added: A2aAgent, task: str, code: str, words: str) -> None:
    run = finish(room, task)

    assert (run.status, run.error["code"]) == ("failed", code)
    assert words in run.error["message"]


def test_a_worker_that_dies_leaves_the_task_to_the_next_one(
    room: EngineRoom, added: A2aAgent, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def dies(*_: Any) -> Any:
        raise Killed

    run = room.start(node("slow"))
    doomed = room.another_worker()
    with monkeypatch.context() as patched:
        patched.setattr(conversation, "follow", dies)
        claim = room.claim(run, "ask", worker=doomed)
        room.execute(claim, worker=doomed)  # and what came of it is never brought
    room.die(doomed)
    behaviour.let_go.set()
    room.look_after()
    room.work()

    assert room.run(run).status == "completed", room.run(run).error
    assert len(behaviour.messages) == 1  # the second worker went on with the task that the first had started
    assert behaviour.cancelled == []


def test_cancelling_the_run_cancels_the_task_there(room: EngineRoom, added: A2aAgent, behaviour: Behaviour) -> None:
    run = room.start(node("slow"))
    working = threading.Thread(target=lambda: (room.work(), release_connection()))
    working.start()
    assert behaviour.received.wait(30)
    room.cancel(run)
    while working.is_alive():
        room.look_after()
        working.join(0.05)

    assert room.run(run).status == "cancelled"
    assert len(behaviour.cancelled) == 1


def test_a_run_that_is_cancelled_while_the_message_is_on_its_way_leaves_no_task_behind(
    room: EngineRoom, added: A2aAgent, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = conversation.send

    async def cancelled_meanwhile(*args: Any) -> Any:
        sent = await send(*args)
        await asyncio.to_thread(lambda: (room.cancel(run), release_connection()))
        return sent

    monkeypatch.setattr(conversation, "send", cancelled_meanwhile)
    run = room.start(node("slow"))
    room.work()  # the journal refuses what came of the message, as nobody wants it any more

    assert room.run(run).status == "cancelled"
    assert len(behaviour.cancelled) == 1


def test_no_other_organization_knows_the_agent(room: EngineRoom, added: A2aAgent, alice: Any, charlie: Any) -> None:
    document = {"name": "x", **node("echo")}

    own = alice.client.post("/v1/workflows/validate", document, format="json").json()
    foreign = charlie.client.post("/v1/workflows/validate", document, format="json").json()

    assert own["valid"] is True
    assert (foreign["valid"], foreign["errors"][0]["code"]) == (False, "unknown_agent")


@pytest.mark.parametrize(
    ("facts", "code"), [({"enabled": False}, "agent_disabled"), ({"card": None}, "no_card")], ids=["off", "unread"]
)
def test_an_agent_that_cannot_be_used_says_why(room: EngineRoom, facts: dict[str, Any], code: str) -> None:
    listed_agent(room.organization, **facts)

    run = finish(room, "echo")

    assert (run.status, run.error["code"]) == ("failed", code)


def test_an_agent_at_a_private_address_is_not_reached(room: EngineRoom) -> None:
    card = {"supportedInterfaces": [{"url": "https://127.0.0.1/a2a", "protocolBinding": "JSONRPC"}], "name": "x"}
    listed_agent(room.organization, card=card)

    run = finish(room, "echo")

    assert (run.status, run.error["code"]) == ("failed", "egress_refused")


def test_a_row_is_of_its_organization(room: EngineRoom, other_organization: Any) -> None:
    listed_agent(room.organization)

    with scope(organization=other_organization):
        assert not A2aAgent.objects.exists()


KEY = "a-very-secret-key-1234"


@pytest.mark.parametrize("task", [f"echo {KEY}", f"reply {KEY}", f"fail {KEY}"])
def test_the_key_is_in_nothing_that_an_agent_says(
    room: EngineRoom, added: A2aAgent, behaviour: Behaviour, task: str
) -> None:
    with room.scope():
        change_agent(added, key=KEY)

    run = room.start(node({"task": task, "data": KEY}))
    room.work()

    ended = room.run(run)
    assert KEY in str(behaviour.messages)
    assert KEY not in f"{ended.output} {ended.error} {[event.data for event in room.events(run)]}"
    assert "***" in f"{ended.output} {ended.error}"


# ---- asked by an agent made of a prompt -------------------------------------------------------------


@pytest.fixture
def clerk(room: EngineRoom) -> Iterator[Parrot]:
    """An agent that may ask the weather, and leave its task to it."""
    parrot = Parrot(said("Done"))
    models.register(parrot)
    document = {"model": parrot.name, "agents": ["a2a.weather"], "handoffs": ["a2a.weather"]}
    with room.scope():
        save_agent(organization=room.organization, name="clerk", document=document, by="user:alice")
    yield parrot
    models.unregister(parrot.name)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("ask_a2a.weather", "May clerk ask a2a.weather?"),
        ("hand_off_to_a2a.weather", "May clerk leave its task to a2a.weather?"),
    ],
)
def test_an_agent_elsewhere_is_given_others_words_with_leave_only(
    room: EngineRoom, added: A2aAgent, behaviour: Behaviour, clerk: Parrot, act: str, message: str
) -> None:
    clerk.replies = [wants(act, task="Tell eve"), wants(act, task="echo"), said("Done")]
    task = {"task": "Go", "context": "Tell it all"}
    run = room.start(workflow({"a": {"type": "agent", "agent": "clerk", "input": task}}))

    room.work()
    asked = room.approval(run)
    room.decide(run, "reject")
    room.work()
    room.decide(run, "approve")
    room.work()

    assert (asked.message, asked.payload) == (message, {"agent": "a2a.weather", "arguments": {"task": "Tell eve"}})
    assert room.status(run) == "completed"
    assert [part.text for said in behaviour.messages for part in said.parts] == ["echo"]


def test_an_agent_elsewhere_is_asked_at_once_by_one_that_has_read_nothing(
    room: EngineRoom, added: A2aAgent, behaviour: Behaviour, clerk: Parrot
) -> None:
    clerk.replies = [wants("ask_a2a.weather", task="echo"), wants("ask_a2a.weather", task="again"), said("Done")]
    run = room.start(workflow({"a": {"type": "agent", "agent": "clerk", "input": {"task": "Go"}}}))

    room.work()
    second, before = room.approval(run), len(behaviour.messages)  # by now it has read what that one said
    room.decide(run, "approve")
    room.work()

    assert (second.payload["arguments"], before) == ({"task": "again"}, 1)
    assert len({said.message_id for said in behaviour.messages}) == 2  # the same id would be the same message
    assert room.status(run) == "completed"
