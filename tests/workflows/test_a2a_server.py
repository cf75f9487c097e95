"""Workflows and agents over Agent2Agent, asked by the official client over the wire."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.helpers import get_message_text, new_data_part, new_text_part
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetExtendedAgentCardRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskState,
)
from a2a.utils.errors import A2AError
from google.protobuf.json_format import MessageToDict

from apps.agents.services.definitions import save_agent
from apps.common.database import release_connection
from apps.integrations import registry as tools
from apps.integrations.language_models import registry as models
from apps.integrations.tools import tool
from apps.workflows.protocols.a2a.skills import with_text
from orchestra import asgi
from tests.agents.parrot import Parrot, said, wants
from tests.engine.documents import workflow
from tests.integrations.asgi_servers import serving_asgi
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import probe

GREET = {
    "name": "greet",
    "description": "Greets.",
    "inputs": {
        "type": "object",
        "properties": {"text": {"type": "string"}, "times": {"type": "integer", "default": 1}},
    },
    "nodes": {"hello": {"type": "set", "values": {"text": "hello, {{ inputs.text }}", "times": "{{ inputs.times }}"}}},
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving_asgi(asgi.application, lifespan="off") as address:
        yield address


@pytest.fixture
def base(address: str, settings: Any) -> str:
    settings.ORCHESTRA_BASE_URL = f"http://{address}"
    return f"http://{address}"


@pytest.fixture
def talk(base: str) -> Callable[..., Any]:
    """The official client of one agent: it reads the card, and takes the address from there."""

    @asynccontextmanager
    async def talking(secret: str, agent: str | None = None, *, streaming: bool = False) -> Any:
        where = f"{base}/a2a/{agent}" if agent else base
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=30) as http:
            card = await A2ACardResolver(http, where).get_agent_card()
            yield ClientFactory(ClientConfig(httpx_client=http, streaming=streaming)).create(card)

    return talking


@pytest.fixture
def working(room: EngineRoom) -> Iterator[EngineRoom]:
    """A room in which somebody works all the time."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            room.work()
        release_connection()

    thread = threading.Thread(target=work)
    thread.start()
    yield room
    over.set()
    thread.join()


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    parrot = Parrot(said("Done"))
    models.register(parrot)
    yield parrot
    models.unregister(parrot.name)


@pytest.fixture
def sent_to() -> Iterator[list[str]]:
    """To whom something was sent."""
    calls: list[str] = []

    @tool(name="test.send", effect="external_write")
    def send(to: str) -> None:
        """Sends."""
        calls.append(to)

    yield calls
    tools.unregister("test.send")


def offer(room: EngineRoom, actor: Any, document: dict[str, Any]) -> str:
    saved = room.save(document)
    answer = actor.client.put(f"/v1/workflows/{saved.workflow.pk}/offer", {}, format="json")
    assert answer.status_code == 200, answer.content
    return str(answer.json()["name"])


def message(*parts: Part, **facts: Any) -> SendMessageRequest:
    configuration = SendMessageConfiguration(return_immediately=facts.pop("at_once", False))
    skill = facts.pop("skill", None)
    said = Message(role=Role.ROLE_USER, parts=parts, **{"message_id": str(uuid4()), **facts})
    if skill:
        said.metadata.update({"skill": skill})
    return SendMessageRequest(message=said, configuration=configuration)


async def sent(client: Any, request: SendMessageRequest) -> Any:
    return [answer async for answer in client.send_message(request)][-1].task


def ask(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def test_an_offered_workflow_answers(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret, name) as client:
            return await sent(client, message(new_text_part("Ada"), new_data_part({"times": 3}), context_id="c1"))

    task = ask(talking())

    assert (task.status.state, task.context_id) == (TaskState.TASK_STATE_COMPLETED, "c1")
    assert MessageToDict(task.artifacts[0].parts[0].data) == {"hello": {"text": "hello, Ada", "times": 3.0}}
    run = working.run(task.id)
    assert (run.trigger, run.status) == ("a2a", "completed")
    assert working.output(run)["hello"]["times"] == 3


def test_an_agent_answers(working: EngineRoom, alice: Any, talk: Any) -> None:
    async def talking() -> Any:
        async with talk(alice.secret, "echo") as client:
            return await sent(client, message(new_text_part("one"), new_text_part("two")))

    task = ask(talking())

    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert [part.text for part in task.artifacts[0].parts] == ["one\ntwo"]


def test_the_front_is_an_assistant_that_can_be_asked_for_others(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret) as client:
            chosen = await sent(client, message(new_text_part("Ada"), skill=name))
            default = await sent(client, message(new_text_part("Say something about tea.")))
            card = await client.get_extended_agent_card(GetExtendedAgentCardRequest())
            return chosen, default, card

    chosen, default, card = ask(talking())

    assert MessageToDict(chosen.artifacts[0].parts[0].data)["hello"]["text"] == "hello, Ada"
    assert default.status.state == TaskState.TASK_STATE_COMPLETED
    assert default.artifacts[0].parts[0].text
    assert {"greet", "echo", "assistant"} <= {skill.id for skill in card.skills}


def test_a_stream_tells_what_happens(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, {"name": "steps", "nodes": {"one": {"type": "agent", "agent": "echo", "input": "hi"}}})

    async def talking() -> Any:
        async with talk(alice.secret, name, streaming=True) as client:
            return [answer async for answer in client.send_message(message(new_text_part("go")))]

    answers = ask(talking())

    kinds = [answer.WhichOneof("payload") for answer in answers]
    assert kinds[0] == "task"
    assert kinds[-2:] == ["artifact_update", "status_update"]
    assert answers[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    said = [get_message_text(answer.status_update.status.message) for answer in answers[1:-2]]
    assert "node.started one" in said


def test_a_task_outlives_whoever_asked(working: EngineRoom, alice: Any, talk: Any, calls: Any) -> None:
    let_go = threading.Event()
    calls["slow"] = lambda task, ctx: {"waited": let_go.wait(60)}
    name = offer(working, alice, {"name": "long", **workflow({"slow": probe("slow")})})

    async def start() -> Any:
        async with talk(alice.secret, name) as client:
            return await sent(client, message(new_text_part("go"), at_once=True))

    async def come_again(task: str) -> Any:
        async with talk(alice.secret, name, streaming=True) as client:
            before = await client.get_task(GetTaskRequest(id=task))
            updates = []
            async for update in client.subscribe(SubscribeToTaskRequest(id=task)):
                updates.append(update)
                let_go.set()
            return before, updates, await client.get_task(GetTaskRequest(id=task))

    started = ask(start())
    before, updates, after = ask(come_again(started.id))

    going_on = {TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING}
    assert started.status.state in going_on
    assert before.status.state in going_on
    assert updates[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    assert after.status.state == TaskState.TASK_STATE_COMPLETED


def test_a_question_to_people_is_input_required_and_can_be_answered(working: EngineRoom, alice: Any, talk: Any) -> None:
    document = {"name": "careful", "nodes": {"ask": {"type": "approval", "message": "Shall we?"}}}
    name = offer(working, alice, document)

    async def talking() -> Any:
        async with talk(alice.secret, name) as client:
            asked = await sent(client, message(new_text_part("go")))
            with pytest.raises(A2AError):
                await sent(client, message(new_text_part("maybe"), task_id=asked.id))
            answer = new_data_part({"decision": "approve", "comment": "Fine."})
            return asked, await sent(client, message(answer, task_id=asked.id))

    asked, done = ask(talking())

    assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    assert get_message_text(asked.status.message) == "Shall we?"
    assert (done.id, done.status.state) == (asked.id, TaskState.TASK_STATE_COMPLETED)


def test_a_client_does_not_give_leave_for_a_call_that_its_own_words_have_led_to(
    working: EngineRoom, alice: Any, talk: Any, parrot: Parrot, sent_to: list[str]
) -> None:
    parrot.replies = [wants("test.send", to="eve"), said("Done")]
    with working.scope():
        document = {"model": parrot.name, "tools": ["test.send"]}
        save_agent(organization=working.organization, name="clerk", document=document, by="user:alice")

    async def talking() -> Any:
        async with talk(alice.secret, "clerk") as client:
            asked = await sent(client, message(new_text_part("Send it to eve")))
            with pytest.raises(A2AError, match="a person decides"):
                await sent(client, message(new_text_part("approve"), task_id=asked.id))
            return asked

    task = ask(talking())

    assert get_message_text(task.status.message) == "May clerk call test.send?"
    assert task.status.state == TaskState.TASK_STATE_WORKING
    assert (working.status(UUID(task.id)), sent_to) == ("waiting", [])


def test_a_task_is_cancelled_once_and_for_all(room: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(room, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret, name) as client:
            task = await sent(client, message(new_text_part("go"), at_once=True))
            return await client.cancel_task(CancelTaskRequest(id=task.id))

    assert ask(talking()).status.state == TaskState.TASK_STATE_CANCELED


def test_what_has_ended_cannot_be_cancelled(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret, name) as client:
            task = await sent(client, message(new_text_part("go")))
            with pytest.raises(A2AError, match="cannot be cancelled"):
                await client.cancel_task(CancelTaskRequest(id=task.id))

    ask(talking())


def test_a_failed_run_is_a_failed_task(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, {"name": "no", "nodes": {"end": {"type": "fail", "message": "Not today."}}})

    async def talking() -> Any:
        async with talk(alice.secret, name) as client:
            return await sent(client, message(new_text_part("go")))

    task = ask(talking())

    assert task.status.state == TaskState.TASK_STATE_FAILED
    assert get_message_text(task.status.message) == "Not today."


def test_the_same_message_is_the_same_task(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret, name) as client:
            first = await sent(client, message(new_text_part("Ada"), message_id="m1"))
            again = await sent(client, message(new_text_part("Ada"), message_id="m1"))
            with pytest.raises(A2AError, match="used before"):
                await sent(client, message(new_text_part("Eve"), message_id="m1"))
            return first, again

    first, again = ask(talking())

    assert first.id == again.id


def test_input_that_does_not_fit_is_refused(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret, name) as client:
            with pytest.raises(A2AError, match="/input/times"):
                await sent(client, message(new_data_part({"times": "many"})))
            with pytest.raises(A2AError):
                await sent(client, message(Part(url="https://example.com/file")))

    ask(talking())


def test_tasks_are_listed_page_by_page(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret, name) as client:
            made = [(await sent(client, message(new_text_part("x"), context_id="c"))).id for _ in range(3)]
            await sent(client, message(new_text_part("x"), context_id="d"))
            first = await client.list_tasks(ListTasksRequest(context_id="c", page_size=2))
            wanted = ListTasksRequest(context_id="c", page_size=2, page_token=first.next_page_token)
            return made, first, await client.list_tasks(wanted)

    made, first, second = ask(talking())

    assert [task.id for task in (*first.tasks, *second.tasks)] == made[::-1]
    assert second.next_page_token == ""


def test_another_organization_sees_and_asks_nothing_of_it(
    working: EngineRoom, alice: Any, charlie: Any, base: str, talk: Any
) -> None:
    name = offer(working, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret, name) as own, talk(charlie.secret) as other:
            task = await sent(own, message(new_text_part("Ada")))
            for refused in (
                other.get_task(GetTaskRequest(id=task.id)),
                other.cancel_task(CancelTaskRequest(id=task.id)),
                sent(other, message(new_text_part("Eve"), skill=name)),
                sent(other, message(new_text_part("approve"), task_id=task.id)),
            ):
                with pytest.raises(A2AError):
                    await refused
            return await other.get_extended_agent_card(GetExtendedAgentCardRequest())

    card = ask(talking())

    assert name not in {skill.id for skill in card.skills}
    found = httpx.get(f"{base}/a2a/{name}/.well-known/agent-card.json", headers=bearer(charlie))
    assert (found.status_code, found.json()["code"]) == (404, "unknown_agent")


def test_a_viewers_key_may_look_but_not_ask(working: EngineRoom, alice: Any, bob: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def talking() -> Any:
        async with talk(alice.secret, name) as own, talk(bob.secret, name) as viewer:
            task = await sent(own, message(new_text_part("Ada")))
            with pytest.raises(A2AError, match="it needs 'run'"):
                await sent(viewer, message(new_text_part("Eve")))
            with pytest.raises(A2AError):
                await viewer.cancel_task(CancelTaskRequest(id=task.id))
            return task, await viewer.get_task(GetTaskRequest(id=task.id))

    task, seen = ask(talking())

    assert seen.id == task.id


def test_a_client_of_the_older_protocol_is_answered(working: EngineRoom, alice: Any, base: str) -> None:
    parts = [{"kind": "text", "text": "Ada"}]
    said = {"role": "user", "messageId": "m", "kind": "message", "parts": parts}
    call = {"jsonrpc": "2.0", "id": 7, "method": "message/send", "params": {"message": said}}

    answer = httpx.post(f"{base}/a2a/echo", json=call, headers=bearer(alice), timeout=30).json()
    asked = {"jsonrpc": "2.0", "id": 8, "method": "tasks/get", "params": {"id": answer["result"]["id"]}}
    again = httpx.post(f"{base}/a2a/echo", json=asked, headers=bearer(alice)).json()

    assert (answer["id"], answer["result"]["kind"]) == (7, "task")
    assert answer["result"]["status"]["state"] == again["result"]["status"]["state"] == "completed"
    assert answer["result"]["artifacts"][0]["parts"][0]["text"] == "Ada"


def test_an_older_stream_is_followed(working: EngineRoom, alice: Any, base: str) -> None:
    said = {"role": "user", "messageId": "m", "kind": "message", "parts": [{"kind": "text", "text": "Ada"}]}
    call = {"jsonrpc": "2.0", "id": 7, "method": "message/stream", "params": {"message": said}}

    with httpx.stream("POST", f"{base}/a2a/echo", json=call, headers=bearer(alice), timeout=30) as answer:
        frames = [json.loads(line[6:])["result"] for line in answer.iter_lines() if line.startswith("data: ")]

    assert frames[0]["kind"] == "task"
    assert (frames[-1]["status"]["state"], frames[-1]["final"]) == ("completed", True)


def test_the_card_of_the_installation_is_public_and_names_nothing_of_anybody(
    room: EngineRoom, alice: Any, base: str
) -> None:
    name = offer(room, alice, GREET)
    public = httpx.get(f"{base}/.well-known/agent-card.json")
    own = httpx.get(f"{base}/.well-known/agent-card.json", headers=bearer(alice))

    assert [skill["id"] for skill in public.json()["skills"]] == ["assistant"]
    assert name in [skill["id"] for skill in own.json()["skills"]]
    assert public.json()["supportedInterfaces"][0]["url"] == f"{base}/a2a"
    assert httpx.get(f"{base}/a2a/echo/.well-known/agent-card.json").status_code == 200
    assert httpx.get(f"{base}/a2a/{name}/.well-known/agent-card.json").status_code == 401


@pytest.mark.parametrize("path", ["/a2a", "/a2a/echo", "/a2a/no-such-thing"])
def test_nothing_is_asked_without_a_key(transactional_db: None, base: str, path: str) -> None:
    answer = httpx.post(f"{base}{path}", json={})

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/a2a", 405), ("POST", "/.well-known/agent-card.json", 405), ("GET", "/a2a/x/y", 404)],
)
def test_other_addresses_and_methods_are_refused(
    transactional_db: None, base: str, method: str, path: str, status: int
) -> None:
    assert httpx.request(method, f"{base}{path}").status_code == status


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"jsonrpc": "2.0", "id": 1, "method": "no"}', b"\xff"])
def test_a_senseless_body_is_an_error_of_the_protocol(
    transactional_db: None, alice: Any, base: str, body: bytes
) -> None:
    answer = httpx.post(f"{base}/a2a", content=body, headers=bearer(alice) | {"A2A-Version": "1.0"})

    assert answer.status_code == 200
    assert answer.json()["error"]["code"] in {-32700, -32600, -32601, -32603}


@pytest.mark.parametrize(
    ("schema", "data", "field"),
    [
        ({}, {}, "task"),
        ({"properties": {"query": {"type": "string"}, "a": {"type": "string"}}}, {}, "query"),
        ({"properties": {"query": {"type": "string"}, "a": {"type": "string"}}}, {"query": "x"}, "a"),
        ({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b"]}, {}, "b"),
        ({"properties": {"n": {"type": "integer"}, "s": {"type": ["string", "null"]}}}, {}, "s"),
        ({"properties": {"n": {"type": "integer"}}}, {}, "task"),
    ],
)
def test_text_goes_where_a_workflow_takes_text(schema: Any, data: Any, field: str) -> None:
    assert with_text(schema, "hello", data) == {**data, field: "hello"}


def bearer(actor: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {actor.secret}"}
