"""Nodes and agents that call tools of an organization's MCP servers."""

from collections.abc import Iterator
from typing import Any

import pytest
from mcp.server import MCPServer

from tests.engine.documents import workflow
from tests.integrations.asgi_servers import serving_asgi
from tests.workflows.engine_room import EngineRoom

kept: list[str] = []  # what the server was told


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = MCPServer("notes")

    @server.tool(description="Keeps a note.")
    def keep(text: str) -> dict[str, int]:
        kept.append(text)
        return {"length": len(text)}

    with serving_asgi(server.streamable_http_app()) as address:
        yield address


@pytest.fixture
def reachable(address: str, settings: Any) -> str:
    settings.ORCHESTRA_EGRESS_ALLOW = [address]
    return f"http://{address}/mcp"


@pytest.fixture
def approved(room: EngineRoom, alice: Any, reachable: str) -> EngineRoom:
    alice.client.post("/v1/mcp/servers", {"name": "notes", "url": reachable}, format="json")
    alice.client.post("/v1/mcp/servers/notes/refresh")
    (offered,) = alice.client.get("/v1/mcp/servers/notes/tools").json()["items"]
    wanted = {"name": "keep", "allowed": True, "digest": offered["digest"]}
    alice.client.post("/v1/mcp/servers/notes/tools", {"tools": [wanted]}, format="json")
    return room


def test_a_node_calls_the_tool(approved: EngineRoom) -> None:
    run = approved.start(
        workflow({"note": {"type": "tool", "tool": "mcp.notes.keep", "input": {"text": "{{ inputs.t }}"}}}),
        {"t": "abc"},
    )
    approved.work()

    assert approved.run(run).status == "completed"
    assert approved.output(run) == {"note": {"length": 3}}


def test_an_agent_calls_the_tool(approved: EngineRoom) -> None:
    kept.clear()
    config: dict[str, Any] = {"tools": ["mcp.notes.keep"]}
    config["options"] = {"seconds": 0}
    node = {"type": "agent", "agent": "assistant", "config": config, "input": {"task": "Keep this."}}
    run = approved.start(workflow({"ask": node}))
    approved.work()

    assert approved.run(run).status == "completed"
    assert kept == ["Keep this."]


def test_a_definition_names_tools_of_its_own_organization(approved: EngineRoom, alice: Any, charlie: Any) -> None:
    document = {"name": "x", "nodes": {"note": {"type": "tool", "tool": "mcp.notes.keep", "input": {"text": "a"}}}}

    own = alice.client.post("/v1/workflows/validate", document, format="json").json()
    foreign = charlie.client.post("/v1/workflows/validate", document, format="json").json()

    assert own["valid"] is True
    assert (foreign["valid"], foreign["errors"][0]["code"]) == (False, "unknown_tool")
