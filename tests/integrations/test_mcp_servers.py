"""Adding MCP servers and approving their tools, over the API and on pages."""

from collections.abc import Iterator
from typing import Any

import pytest
from django_scopes import scope
from mcp.server import MCPServer

from apps.integrations.models import McpServer, McpTool, Secret
from tests.integrations.asgi_servers import serving_asgi
from tests.integrations.mcp_rows import listed_server

credentials: list[bytes | None] = []  # that came with the requests


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = MCPServer("notes")

    @server.tool(description="Keeps a note.")
    def keep(text: str) -> dict[str, int]:
        return {"length": len(text)}

    inner = server.streamable_http_app()

    async def noting(asked: Any, receive: Any, send: Any) -> None:
        if asked["type"] == "http":
            credentials.append(dict(asked["headers"]).get(b"authorization"))
        await inner(asked, receive, send)

    with serving_asgi(noting) as address:
        yield address


@pytest.fixture
def reachable(address: str, settings: Any) -> str:
    settings.ORCHESTRA_EGRESS_ALLOW = [address]
    return f"http://{address}/mcp"


@pytest.fixture
def server(db: None, organization: Any) -> McpServer:
    return listed_server(organization)


def tool_of(server: McpServer, name: str) -> McpTool:
    with scope(organization=server.organization_id):
        return McpTool.objects.select_related("server").get(server=server, name=name)


# ---- the API --------------------------------------------------------------------------------------


def test_a_server_is_added_refreshed_approved_and_called(transactional_db: None, alice: Any, reachable: str) -> None:
    added = alice.client.post("/v1/mcp/servers", {"name": "notes", "url": reachable}, format="json")
    refreshed = alice.client.post("/v1/mcp/servers/notes/refresh")
    (offered,) = alice.client.get("/v1/mcp/servers/notes/tools").json()["items"]
    wanted = {"name": "keep", "allowed": True, "digest": offered["digest"], "effect": "read"}
    decided = alice.client.post("/v1/mcp/servers/notes/tools", {"tools": [wanted]}, format="json")
    called = alice.client.post("/v1/tools/mcp.notes.keep/invoke", {"input": {"text": "four"}}, format="json")

    assert (added.status_code, added.json()["refreshed_at"]) == (201, None)
    assert refreshed.json()["problem"] == ""
    assert (offered["state"], offered["tool"], offered["description"]) == ("new", "mcp.notes.keep", "Keeps a note.")
    assert decided.json()["items"][0]["state"] == "allowed"
    assert called.json()["output"] == {"length": 4}
    assert alice.client.get("/v1/tools/mcp.notes.keep").json()["effect"] == "read"
    assert "mcp.notes.keep" in [tool["name"] for tool in alice.client.get("/v1/tools?limit=200").json()["items"]]


def test_each_endpoint_is_the_organizations_own(guard: Any, server: McpServer) -> None:
    digest = tool_of(server, "new").digest
    decision = {"tools": [{"name": "new", "allowed": True, "digest": digest}]}

    assert guard("get", "/v1/mcp/servers/weather").json()["name"] == "weather"
    assert guard("get", "/v1/mcp/servers/weather/tools").json()["items"]
    assert guard("patch", "/v1/mcp/servers/weather", {"enabled": False}, needs="manage").json()["enabled"] is False
    assert guard("post", "/v1/mcp/servers/weather/tools", decision, needs="manage").status_code == 200
    assert guard("delete", f"/v1/mcp/servers/{server.pk}", needs="manage").status_code == 204


def test_another_organization_may_have_a_server_of_the_same_name(alice: Any, charlie: Any) -> None:
    wanted = {"name": "notes", "url": "https://example.com/mcp"}

    assert alice.client.post("/v1/mcp/servers", wanted, format="json").status_code == 201
    assert charlie.client.post("/v1/mcp/servers", wanted, format="json").status_code == 201
    assert alice.client.post("/v1/mcp/servers", wanted, format="json").status_code == 409
    assert len(charlie.client.get("/v1/mcp/servers").json()["items"]) == 1


@pytest.mark.parametrize(
    ("wanted", "status", "pointer"),
    [
        ({"name": "Notes", "url": "https://example.com/mcp"}, 422, "/name"),
        ({"name": "notes", "url": "http://example.com/mcp"}, 422, "/url"),
        ({"name": "notes", "url": "https://example.com/mcp", "command": "npx"}, 400, "/command"),
        ({"name": "notes"}, 400, "/url"),
        ({"name": "notes", "url": "https://example.com/mcp", "key": "two words"}, 422, "/key"),
    ],
)
def test_a_wrong_server_is_told_where(alice: Any, wanted: dict[str, Any], status: int, pointer: str) -> None:
    answer = alice.client.post("/v1/mcp/servers", wanted, format="json")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)


def test_a_change_since_it_was_looked_at_is_a_conflict(alice: Any, server: McpServer) -> None:
    wanted = {"name": "new", "allowed": True, "digest": "0" * 64}

    answer = alice.client.post("/v1/mcp/servers/weather/tools", {"tools": [wanted]}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "tool_changed")
    assert answer.json()["errors"][0]["pointer"] == "/tools/0/digest"


def test_a_changed_tool_is_shown_with_what_has_changed(alice: Any, server: McpServer) -> None:
    (changed,) = [tool for tool in alice.client.get("/v1/mcp/servers/weather/tools").json()["items"] if tool["diff"]]

    assert changed["state"] == "changed"
    assert "- Tells the weather.\n" in changed["diff"]
    assert "+ Tells the weather. And more.\n" in changed["diff"]


def test_a_key_is_sent_to_its_server_and_shown_to_nobody(transactional_db: None, alice: Any, reachable: str) -> None:
    key = "a-very-secret-key-1234"
    added = alice.client.post("/v1/mcp/servers", {"name": "notes", "url": reachable, "key": key}, format="json")
    credentials.clear()
    refreshed = alice.client.post("/v1/mcp/servers/notes/refresh")

    assert (added.json()["key_hint"], refreshed.json()["problem"]) == ("****1234", "")
    assert set(credentials) == {f"Bearer {key}".encode()}
    assert key not in added.content.decode() + refreshed.content.decode()
    with scope(organization=alice.organization):
        secret = McpServer.objects.select_related("secret").get().secret
        assert secret is not None
        assert key.encode() not in bytes(secret.sealed)


@pytest.mark.parametrize("change", [{"key": ""}, {"url": "https://example.com/mcp"}])
def test_a_key_goes_when_it_is_emptied_and_is_not_sent_to_another_address(alice: Any, change: dict[str, str]) -> None:
    wanted = {"name": "notes", "url": "https://example.org/mcp", "key": "a-very-secret-key-1234"}
    alice.client.post("/v1/mcp/servers", wanted, format="json")

    changed = alice.client.patch("/v1/mcp/servers/notes", change, format="json")

    assert changed.json()["key_hint"] is None
    with scope(organization=alice.organization):
        assert not Secret.objects.exists()


def test_a_deleted_server_takes_its_key_along(alice: Any) -> None:
    wanted = {"name": "notes", "url": "https://example.org/mcp", "key": "a-very-secret-key-1234"}
    alice.client.post("/v1/mcp/servers", wanted, format="json")

    assert alice.client.delete("/v1/mcp/servers/notes").status_code == 204
    with scope(organization=alice.organization):
        assert not Secret.objects.exists()


# ---- pages ----------------------------------------------------------------------------------------


def test_a_person_adds_a_server_and_ticks_its_tool(
    transactional_db: None, browser: Any, reachable: str, alice: Any
) -> None:
    added = browser.owner.post("/mcp-servers", {"name": "notes", "url": reachable})
    with scope(organization=alice.organization):
        tool = McpTool.objects.get(name="keep")
    ticked = {"allow": str(tool.pk), f"digest-{tool.pk}": tool.digest, f"effect-{tool.pk}": "external_write"}
    browser.owner.post("/mcp-servers/notes/tools", ticked)
    page = browser.owner.get("/tools/mcp.notes.keep").content.decode()

    assert added["Location"] == "/mcp-servers/notes"
    assert "Keeps a note." in page
    assert "mcp.notes.keep" in browser.owner.get("/tools").content.decode()
    assert "mcp.notes.keep" not in browser.stranger.get("/tools").content.decode()
    assert browser.stranger.get("/tools/mcp.notes.keep").status_code == 404


def test_what_is_not_ticked_any_more_is_forbidden(browser: Any, server: McpServer) -> None:
    browser.owner.post("/mcp-servers/weather/tools", {})

    assert tool_of(server, "allowed").state == "new"
    assert tool_of(server, "changed").state == "changed"  # it stays refused, and its change can still be looked at


def test_the_page_shows_a_change_line_by_line(browser: Any, server: McpServer) -> None:
    page = browser.viewer.get("/mcp-servers/weather").content.decode()

    assert '<span class="added">+ Tells the weather. And more.</span>' in page
    assert "Save what is ticked" not in page  # a viewer only looks
    assert browser.viewer.post("/mcp-servers/weather/tools", {}).status_code == 403
    assert browser.stranger.get("/mcp-servers/weather").status_code == 404
    assert browser.stranger.post("/mcp-servers/weather/delete").status_code == 404


def test_a_server_is_switched_off_and_deleted(browser: Any, server: McpServer) -> None:
    browser.owner.post("/mcp-servers/weather/switch", {"enabled": "false"})
    shown = browser.owner.get("/mcp-servers/weather").content.decode()
    browser.owner.post("/mcp-servers/weather/delete")

    assert "Switch on" in shown
    assert browser.owner.get("/mcp-servers/weather").status_code == 404


def test_a_wrong_address_is_told_on_the_page(browser: Any) -> None:
    answer = browser.owner.post("/mcp-servers", {"name": "notes", "url": "http://example.com/mcp"})

    assert answer.status_code == 422
    assert "Only https is allowed" in answer.content.decode()
