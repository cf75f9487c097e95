"""An agent made of a prompt whose worker is killed in the middle of ten calls: none is paid for twice."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tests.acceptance.orchestra_process import RunningOrchestra, Start, wait_until
from tests.language_models.chat_server import Answer, ChatServer, chatting

LONG = hypothesis.settings.get_current_profile_name() == "long"
CALLS = 10
KILLED_AT = range(1, CALLS + 1) if LONG else [1, 6, 10]


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with chatting() as running:
        yield running


@pytest.fixture(scope="module")
def orchestra(start: Start, server: ChatServer) -> RunningOrchestra:
    running = start("--no-demo", "--workers=1", ORCHESTRA_EGRESS_ALLOW=server.address).wait_ready()
    provider = {"name": "local", "kind": "openai_compatible", "base_url": server.url, "key": "sk-of-a-test"}
    made = running.call("POST", "/v1/model-providers", json=provider)
    assert made.status_code == 201, made.text
    agent = {"model": "local/m", "tools": ["demo.search"]}
    saved = running.call("POST", "/v1/agent-definitions", json={"name": "searcher", "agent": agent})
    assert saved.status_code == 201, saved.text
    return running


@pytest.mark.parametrize("place", KILLED_AT)
def test_an_agent_killed_in_the_middle_goes_on_at_the_first_call_without_an_answer(
    orchestra: RunningOrchestra, server: ChatServer, place: int
) -> None:
    questions: list[int] = []

    def reply(asked: dict[str, Any]) -> Answer:
        known = sum(message["role"] == "assistant" for message in asked["messages"])
        questions.append(known)
        if len(questions) == place:
            orchestra.children()["worker1"].kill()
        last = known == CALLS - 1
        return Answer("Done", usage=(100, 10)) if last else Answer("", calls=[("demo_search", '{"query": "tea"}')])

    server.answer = reply
    node = {"type": "agent", "agent": "searcher", "input": {"task": "Search"}}
    started = orchestra.call("POST", "/v1/runs", json={"definition": {"name": "ten", "nodes": {"a": node}}})
    run = started.json()["id"]

    def show() -> dict[str, Any]:
        return dict(orchestra.call("GET", f"/v1/runs/{run}").json())

    wait_until(lambda: show()["status"] in {"completed", "failed"}, 150, lambda: str(show()))
    shown = show()
    assert (shown["status"], shown["output"]["a"]["text"]) == ("completed", "Done")
    assert sorted(set(questions)) == list(range(CALLS))
    assert len(questions) <= CALLS + 1  # the one in flight
    assert all(questions.count(number) == 1 for number in range(CALLS) if number != place - 1)
