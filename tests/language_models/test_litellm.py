"""Models of providers with a protocol of their own, asked through litellm: here Anthropic's, on a server of ours.

https://docs.anthropic.com/en/api/messages-streaming
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from apps.common.errors import Fatal, Retryable
from apps.integrations.language_models import OfferedTool
from apps.integrations.language_models.prices import known_models, known_price
from tests.integrations.servers import Answer, Received, Server, serving
from tests.language_models.conftest import KEY, Desk

MODEL = "claude-sonnet-4-5"


def events(*deltas: dict[str, Any], ended: str = "end_turn") -> bytes:
    usage = {"input_tokens": 25, "cache_read_input_tokens": 5, "output_tokens": 1}
    message = {"id": "m1", "type": "message", "role": "assistant", "content": [], "model": MODEL, "usage": usage}
    block = (
        {"type": "text", "text": ""}
        if deltas[0]["type"] == "text_delta"
        else {"type": "tool_use", "id": "t1", "name": "look_up", "input": {}}
    )
    told = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": ended}, "usage": {"output_tokens": 12}},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in told)


def stream(*deltas: dict[str, Any], ended: str = "end_turn") -> Answer:
    return Answer(headers={"Content-Type": "text/event-stream"}, body=events(*deltas, ended=ended))


def set_up(desk: Desk, server: Server, settings: Any, **fields: Any) -> None:
    settings.ORCHESTRA_EGRESS_ALLOW |= {server.address}
    provider = desk.provider(server, name="anthropic", kind="anthropic", base_url=server.url)  # type: ignore[arg-type]
    desk.setting(provider, model=MODEL, **fields)


def test_it_streams_counts_and_prices_an_answer(desk: Desk, settings: Any) -> None:
    said = stream({"type": "text_delta", "text": "Salty"}, {"type": "text_delta", "text": " sea"})
    heard: list[str] = []
    with serving(lambda _: said) as server:
        set_up(desk, server, settings)
        reply = desk.ask(hear=heard.append)

    assert (reply.message.content, "".join(heard)) == ("Salty sea", "Salty sea")
    assert (server.received[0].path, server.received[0].headers["x-api-key"]) == ("/v1/messages", KEY)
    price = known_price("anthropic", MODEL)
    assert price is not None
    assert (reply.usage.output_tokens, reply.usage.cached_tokens) == (12, 5)
    assert reply.usage.cost_micro_usd == price.of(reply.usage) > 0


def test_it_asks_for_tools(desk: Desk, settings: Any) -> None:
    said = stream({"type": "input_json_delta", "partial_json": '{"what": "tea"}'}, ended="tool_use")
    tool = OfferedTool(name="look_up", description="Looks up.", parameters={"type": "object", "properties": {}})
    with serving(lambda _: said) as server:
        set_up(desk, server, settings)
        (call,) = desk.ask(tools=(tool,)).message.tool_calls

    assert (call.id, call.name, call.arguments) == ("t1", "look_up", {"what": "tea"})


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(401, Fatal, "key_refused"), (529, Retryable, "model_unavailable"), (429, Retryable, "rate_limited")],
)
def test_its_refusals_mean_what_those_of_others_mean(
    desk: Desk, settings: Any, status: int, kind: type[Any], code: str
) -> None:
    body = json.dumps({"type": "error", "error": {"type": "an_error", "message": "No way"}}).encode()

    def refuse(_: Received) -> Answer:
        return Answer(status, {"Content-Type": "application/json", "Retry-After": "900"}, body)

    with serving(refuse) as server:
        set_up(desk, server, settings)
        with pytest.raises(kind) as refused:
            desk.ask()

    assert refused.value.code == code
    assert str(refused.value).partition(": ")[2].startswith("No way."), "and not the JSON around it"
    assert KEY not in str(refused.value)


def test_it_goes_where_the_egress_rules_let_it_and_nowhere_else(desk: Desk, settings: Any) -> None:
    with serving(lambda _: stream({"type": "text_delta", "text": "x"})) as server:
        set_up(desk, server, settings)
        settings.ORCHESTRA_EGRESS_ALLOW = frozenset()
        with pytest.raises(Fatal) as refused:
            desk.ask()

    assert refused.value.code == "egress_refused"
    assert server.received == []


def test_prices_and_models_are_known_without_importing_it() -> None:
    assert known_price("openai", "gpt-4o-mini") is not None
    assert known_price("openai", "no-such-model") is None
    assert "gpt-4o-mini" in known_models("openai")
    code = (
        "import sys, django; django.setup();"
        "from apps.integrations.language_models.prices import known_price; known_price('openai', 'gpt-4o');"
        "import orchestra.urls, orchestra.asgi;"
        "print([name for name in ('litellm', 'openai', 'mcp', 'a2a') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert told.stdout.strip() == "[]"


def _environment() -> dict[str, str]:
    return os.environ | {"DJANGO_SETTINGS_MODULE": "orchestra.settings"}
