"""Workflows as tools of an MCP server, asked by the official client over the wire."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from apps.accounts.models import Role
from apps.accounts.services.keys import create_key
from apps.common.database import release_connection
from apps.workflows.protocols import mcp as protocol
from apps.workflows.protocols import runs as protocol_runs
from orchestra import asgi
from tests.engine.documents import workflow
from tests.integrations.asgi_servers import serving_asgi
from tests.workflows.engine_room import EngineRoom
from tests.workflows.probes import probe

GREET = {
    "name": "greet somebody",
    "description": "Greets.",
    "inputs": {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]},
    "nodes": {"hello": {"type": "set", "values": {"text": "hello, {{ inputs.who }}"}}},
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving_asgi(asgi.application, lifespan="off") as address:
        yield address


@pytest.fixture(params=["auto", "legacy"])
def talk(request: pytest.FixtureRequest, address: str) -> Callable[..., Any]:
    """The official client, in today's protocol and in the one before."""

    @asynccontextmanager
    async def talking(secret: str) -> Any:
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(f"http://{address}/mcp", http_client=http), mode=request.param) as client,
        ):
            yield client

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


def offer(room: EngineRoom, actor: Any, document: dict[str, Any], name: str = "") -> str:
    saved = room.save(document)
    answer = actor.client.put(f"/v1/workflows/{saved.workflow.pk}/offer", {"name": name} if name else {}, format="json")
    assert answer.status_code == 200, answer.content
    return str(answer.json()["name"])


def test_an_offered_workflow_is_a_tool(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            return (await client.list_tools()).tools, await client.call_tool(name, {"who": "Ada"})

    tools, result = asyncio.run(ask())

    assert [tool.name for tool in tools] == ["greet-somebody", "get_run"]
    assert tools[0].input_schema == GREET["inputs"]
    assert (tools[0].title, tools[0].description) == ("greet somebody", "Greets.")
    assert result.structured_content["status"] == "completed"
    assert result.structured_content["output"] == {"hello": {"text": "hello, Ada"}}
    run = working.run(result.structured_content["run_id"])
    assert (run.trigger, run.created_by) == ("mcp", f"key:ork_live_{alice.key.public_id}")


def test_what_is_not_switched_on_is_unknown(working: EngineRoom, alice: Any, talk: Any) -> None:
    workflow_id = working.save(GREET).workflow.pk
    shown = alice.client.get(f"/v1/workflows/{workflow_id}/offer").json()

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            with pytest.raises(MCPError, match="no tool 'greet somebody'"):
                await client.call_tool("greet somebody", {"who": "Ada"})
            return (await client.list_tools()).tools

    assert [tool.name for tool in asyncio.run(ask())] == ["get_run"]
    assert shown == {"offered": False, "name": None, "mcp_url": None, "a2a_url": None}


def test_another_organization_sees_and_runs_nothing_of_it(
    working: EngineRoom, alice: Any, charlie: Any, talk: Any
) -> None:
    name = offer(working, alice, GREET)

    async def ask() -> Any:
        async with talk(alice.secret) as own, talk(charlie.secret) as other:
            run = (await own.call_tool(name, {"who": "Ada"})).structured_content["run_id"]
            with pytest.raises(MCPError):
                await other.call_tool(name, {"who": "Eve"})
            return (await other.list_tools()).tools, await other.call_tool("get_run", {"run_id": run})

    tools, seen = asyncio.run(ask())

    assert [tool.name for tool in tools] == ["get_run"]
    assert (seen.is_error, "run_not_found" in seen.content[0].text) == (True, True)


def test_a_viewers_key_may_look_but_not_run(working: EngineRoom, alice: Any, bob: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def ask() -> Any:
        async with talk(bob.secret) as client:
            return (await client.list_tools()).tools, await client.call_tool(name, {"who": "Ada"})

    tools, refused = asyncio.run(ask())

    assert name in [tool.name for tool in tools]
    assert refused.is_error
    assert "it needs 'run'" in refused.content[0].text


def test_input_that_does_not_fit_is_told_with_its_place(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            return await client.call_tool(name, {"who": 5})

    refused = asyncio.run(ask())

    assert refused.is_error
    assert "/input/who" in refused.content[0].text


def test_a_failed_run_is_a_failed_call(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, {"name": "no", "nodes": {"end": {"type": "fail", "message": "Not today."}}})

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            return await client.call_tool(name, {})

    failed = asyncio.run(ask())

    assert (failed.is_error, failed.structured_content["status"]) == (True, "failed")
    assert failed.structured_content["error"]["message"] == "Not today."


def test_an_answer_that_is_degraded_says_so(working: EngineRoom, alice: Any, talk: Any, calls: Any) -> None:
    calls["broken"] = _broken
    node = probe("broken", input={}, degrade=[{"agent": "echo"}])
    name = offer(working, alice, {**workflow({"ask": node}), "name": "degrading"})

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            return await client.call_tool(name, {})

    told = asyncio.run(ask()).structured_content

    assert told["status"] == "completed"
    assert told["degraded"] == {"ask": "Degraded: answered by the agent echo. Its own agent: RuntimeError: It broke."}


def _broken(task: Any, ctx: Any) -> Any:
    raise RuntimeError("It broke.")


def test_what_takes_longer_is_asked_for_again(
    working: EngineRoom, alice: Any, talk: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "WAIT_SECONDS", 0.3)
    let_go = threading.Event()
    calls["slow"] = lambda task, ctx: {"waited": let_go.wait(60)}
    name = offer(working, alice, {"name": "long", **workflow({"slow": probe("slow")})})

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            first = await client.call_tool(name, {})
            let_go.set()
            given = {"run_id": first.structured_content["run_id"], "wait_seconds": 0.3}
            while (again := await client.call_tool("get_run", given)).structured_content["status"] == "running":
                pass
            return first, again

    first, again = asyncio.run(ask())

    assert (first.is_error, first.structured_content["status"]) == (False, "running")
    assert "get_run" in first.structured_content["hint"]
    assert again.structured_content["output"] == {"slow": {"waited": True}}


def test_a_question_to_people_is_told_at_once(working: EngineRoom, alice: Any, talk: Any) -> None:
    ask_first = {"type": "approval", "message": "Shall we?"}
    name = offer(working, alice, {"name": "careful", "nodes": {"ask": ask_first}})

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            return await client.call_tool(name, {})

    waiting = asyncio.run(ask())

    assert waiting.structured_content["status"] == "waiting"
    assert "Shall we?" in waiting.structured_content["hint"]


def test_the_same_key_is_the_same_run(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)
    meta: Any = {protocol.KEY_FIELD: "once, please"}

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            twice = [await client.call_tool(name, {"who": "Ada"}, meta=meta) for _ in range(2)]
            other = await client.call_tool(name, {"who": "Eve"}, meta=meta)
            without = await client.call_tool(name, {"who": "Ada"})
            return [*twice, without], other

    done, other = asyncio.run(ask())

    first, second, third = [result.structured_content["run_id"] for result in done]
    assert first == second
    assert third != first
    assert "idempotency_key_reused" in other.content[0].text


def test_whoever_asks_for_progress_is_told(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)
    told: list[tuple[float, str | None]] = []

    async def note(progress: float, _total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            return await client.call_tool(name, {"who": "Ada"}, progress_callback=note)

    asyncio.run(ask())

    assert told
    assert [progress for progress, _ in told] == sorted({progress for progress, _ in told})
    assert told[-1][1] == "run.completed"


def test_a_withdrawn_workflow_is_gone(working: EngineRoom, alice: Any, talk: Any) -> None:
    name = offer(working, alice, GREET)
    alice.client.delete("/v1/workflows/greet somebody/offer")

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            with pytest.raises(MCPError):
                await client.call_tool(name, {"who": "Ada"})

    asyncio.run(ask())


def test_more_tools_than_one_page_are_all_listed(
    room: EngineRoom, alice: Any, talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PAGE", 2)
    names = [offer(room, alice, {**GREET, "name": f"greet-{number}"}) for number in range(5)]

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            found, cursor = [], None
            while True:
                page = await client.list_tools(cursor=cursor)
                found += [tool.name for tool in page.tools]
                if (cursor := page.next_cursor) is None:
                    return found

    assert asyncio.run(ask()) == [*names, "get_run"]


@pytest.mark.parametrize("credential", [None, "Bearer ork_live_x", "Basic eDp5"])
def test_without_a_key_nobody_gets_in(transactional_db: None, address: str, credential: str | None) -> None:
    headers = {"Authorization": credential} if credential else {}

    answer = httpx.post(f"http://{address}/mcp", json={}, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_is_refused(transactional_db: None, organization: Any, address: str) -> None:
    created = create_key(organization=organization, name="old", role=Role.OWNER)
    headers = {"Authorization": f"Bearer {created.secret}", "Accept": "application/json, text/event-stream"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    before = httpx.post(f"http://{address}/mcp", json=ping, headers=headers)
    created.key.delete()

    after = httpx.post(f"http://{address}/mcp", json=ping, headers=headers)

    assert (before.status_code, after.status_code) == (200, 401)
    assert before.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_only_posts_are_answered(transactional_db: None, address: str, method: str) -> None:
    answer = httpx.request(method, f"http://{address}/mcp")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"jsonrpc": "2.0", "id": 1, "method": 5}', b"\xff"])
def test_a_senseless_body_is_no_mistake_of_ours(transactional_db: None, alice: Any, address: str, body: bytes) -> None:
    headers = {
        "Authorization": f"Bearer {alice.secret}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    for version in ({}, {"MCP-Protocol-Version": "2026-07-28"}):
        answer = httpx.post(f"http://{address}/mcp", content=body, headers=headers | version)

        assert 400 <= answer.status_code < 500


def test_an_offer_is_the_organizations_own(guard: Any, organization: Any) -> None:
    EngineRoom(organization).save(GREET)
    where = "/v1/workflows/greet somebody/offer"

    assert guard("get", where).json()["offered"] is False
    assert guard("put", where, {"name": "hello"}, needs="edit").json()["name"] == "hello"
    assert guard("delete", where, needs="edit").status_code == 204


@pytest.mark.parametrize("name", ["a b", "get_run", "x" * 65, "ä"])
def test_a_tools_name_is_one_that_every_client_takes(alice: Any, organization: Any, name: str) -> None:
    EngineRoom(organization).save(GREET)

    answer = alice.client.put("/v1/workflows/greet somebody/offer", {"name": name}, format="json")

    assert answer.status_code in {400, 422}


@pytest.mark.parametrize("taken", ["assistant", "greet"])
def test_a_name_is_offered_once(alice: Any, organization: Any, taken: str) -> None:
    room = EngineRoom(organization)
    for name in ("greet", "other"):
        room.save({**GREET, "name": name})
    alice.client.put("/v1/workflows/greet/offer", {}, format="json")

    answer = alice.client.put("/v1/workflows/other/offer", {"name": taken}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_a_person_offers_a_workflow_on_its_page(browser: Any, organization: Any) -> None:
    EngineRoom(organization).save({**GREET, "name": "greet"})

    browser.owner.post("/workflows/greet/offer", {"offered": "true"})
    offered = browser.owner.get("/workflows/greet").content.decode()
    browser.owner.post("/workflows/greet/offer", {"offered": "false"})
    withdrawn = browser.owner.get("/workflows/greet").content.decode()

    assert "/a2a/greet" in offered
    assert "It is not offered" in withdrawn
    assert browser.viewer.post("/workflows/greet/offer", {"offered": "true"}).status_code == 403
    assert browser.stranger.post("/workflows/greet/offer", {"offered": "true"}).status_code == 404


def test_where_too_many_wait_already_nobody_is_kept_waiting(
    room: EngineRoom, alice: Any, talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_runs, "_waiting", asyncio.Semaphore(0))
    name = offer(room, alice, GREET)

    async def ask() -> Any:
        async with talk(alice.secret) as client:
            return await client.call_tool(name, {"who": "Ada"})

    result = asyncio.run(ask())

    assert result.structured_content["status"] == "pending"
    assert "get_run" in result.structured_content["hint"]
