"""What a run's calls of language models cost, where people see it, and what happens when the money is used up."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django_scopes import scope

from apps.accounts.models import Organization
from apps.common.database import release_connection
from apps.integrations.models import ModelProvider
from apps.observability.models import Budget, BudgetAccount
from apps.workflows.management.tree import summary_line
from apps.workflows.models import Run
from apps.workflows.services.gallery import run_demo
from tests.engine.documents import workflow
from tests.fixtures import Actor, Browser, signed_in
from tests.language_models.chat_server import Answer, ChatServer, chatting, in_turn
from tests.language_models.conftest import Desk, desk, no_rest, server  # noqa: F401 - fixtures
from tests.workflows.engine_room import EngineRoom

PRICES = {"input_price": 1, "output_price": 10}
HTMX = {"HX-Request": "true"}


def asks(model: str = "smart", **fields: Any) -> dict[str, Any]:
    return workflow({"ask": {"type": "agent", "agent": "assistant", "model": model, "input": {"task": "Hi"}, **fields}})


def cap(organization: Organization, **fields: Any) -> Budget:
    known: dict[str, Any] = {"name": "cap", "scope": "organization", "limit_micro_usd": 100}
    with scope(organization=organization):
        return Budget.objects.create(organization=organization, **known | fields)


def text(answer: Any) -> str:
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))
    return words.replace("&#x27;", "'").replace(" ,", ",")


def part(actor: Actor, run: Any, where: str) -> str:
    return text(signed_in(actor).get(f"/runs/{run}/{where}", headers=HTMX))


@pytest.fixture
def smart(desk: Desk, server: ChatServer) -> ChatServer:  # noqa: F811
    """A model with a price, and one without."""
    provider = desk.provider(server)
    desk.setting(provider, **PRICES)
    desk.setting(provider, "unpriced")
    return server


def test_a_run_says_what_its_calls_took(room: EngineRoom, smart: ChatServer, alice: Actor) -> None:
    run = room.finish(asks())

    shown = alice.client.get(f"/v1/runs/{run.pk}").json()
    listed = alice.client.get("/v1/runs").json()["items"][0]
    head = part(alice, run.pk, "head")

    assert shown["usage"] == {
        "calls": 1,
        "unpriced": 0,
        "input_tokens": 11,
        "output_tokens": 7,
        "cost_usd": "0.000081",
        "cost_micro_usd": 81,
    }
    for one in (shown, listed):
        assert (one["cost_usd"], one["cost_micro_usd"], one["unpriced_calls"], one["tokens"]) == (0.000081, 81, 0, 18)
    assert "LLM calls 1" in head
    assert "Tokens 11 in, 7 out" in head
    assert "Cost $0.000081" in head
    assert alice.client.get(f"/v1/runs/{run.pk}?fields=status").json() == {"status": "completed"}


def test_the_demo_asks_the_default_model_and_without_one_the_demo_model(
    room: EngineRoom,
    desk: Desk,  # noqa: F811
    server: ChatServer,  # noqa: F811
    alice: Actor,
) -> None:
    def brief() -> Any:
        run = run_demo(room.organization, "market-brief")
        room.work()
        while room.status(run) == "running":
            room.pass_time(room.seconds_until_due())
            room.work()
        return run

    played = brief()
    desk.setting(desk.provider(server), is_default=True)
    asked = brief()

    assert "Model demo/scripted demo LLM calls" in part(alice, played, "head")
    assert "Model smart LLM calls" in part(alice, asked, "head")
    assert (room.node(played, "market").attempt, room.node(asked, "market").attempt) == (2, 1)
    assert len(server.asked) == 5
    assert not {"demo", "seconds", "failures"} & {name for one in server.asked for name in one}


def test_the_model_tab_has_every_figure_of_an_answer(room: EngineRoom, smart: ChatServer, alice: Actor) -> None:
    smart.answer = lambda _: Answer("Long", usage=(30, 20), cached=10, reasoning=15, ended="length")

    run = room.finish(asks())
    tab = part(alice, run.pk, "inspector?node=ask&tab=model")

    assert "Answered by local/m, asked as smart" in tab
    assert "30 in (10 cached), 20 out (15 reasoning) · $0.00023" in tab
    assert "first token after" in tab
    assert "It ends here because it has reached its longest length" in tab


def test_a_price_that_nobody_knows_is_said_to_be_unknown(room: EngineRoom, smart: ChatServer, alice: Actor) -> None:
    run = room.finish(asks("unpriced"))

    assert alice.client.get("/v1/runs").json()["items"][0]["unpriced_calls"] == 1
    assert alice.client.get(f"/v1/runs/{run.pk}?fields=unpriced_calls").json() == {"unpriced_calls": 1}
    tab = part(alice, run.pk, "inspector?node=ask&tab=model")
    assert "price unknown" in tab
    assert "$0.00" not in tab
    assert "price unknown" in part(alice, run.pk, "head")
    with scope(organization=room.organization):
        assert summary_line(Run.objects.get(pk=run.pk)).text.endswith("s  price unknown")


def test_a_model_that_is_left_alone_is_said_to_have_failed_of_what(
    room: EngineRoom,
    desk: Desk,  # noqa: F811
    alice: Actor,
) -> None:
    with chatting() as gone:
        desk.setting(desk.provider(gone))

    for _ in range(3):
        run = room.finish(asks())

    assert run.error["code"] == "circuit_open"
    assert "a while. The last failure: The connection to local/m failed: All connection" in run.error["message"]
    assert "The last failure: The connection to local/m failed" in part(alice, run.pk, "inspector?node=ask&tab=error")


def test_models_that_were_passed_over_and_calls_without_an_answer_are_shown(
    room: EngineRoom,
    desk: Desk,  # noqa: F811
    smart: ChatServer,
    alice: Actor,
) -> None:
    smart.answer = lambda asked: (
        Answer(status=503, error={"error": {"message": "Too busy"}}) if asked["model"] == "dear" else Answer("Fine")
    )
    with scope(organization=alice.organization):
        served = ModelProvider.objects.get()
    desk.setting(served, "dear", model="dear", fallbacks=["smart"])

    run = room.finish(asks("dear"))
    tab = part(alice, run.pk, "inspector?node=ask&tab=model")

    assert "dear was passed over: local/dear answered 503: Too busy." in tab
    assert "3 calls 2 without an answer" in tab
    assert tab.count("local/dear $0.00 failed model_unavailable after") == 2
    assert "in the place of dear model_unavailable after" in tab


def test_an_answer_out_of_the_cache_took_nothing(
    room: EngineRoom,
    desk: Desk,  # noqa: F811
    server: ChatServer,  # noqa: F811
    alice: Actor,
) -> None:
    desk.setting(desk.provider(server), cache_seconds=60, **PRICES)
    room.finish(asks())

    run = room.finish(asks())

    assert "out of the cache: it took nothing" in part(alice, run.pk, "inspector?node=ask&tab=model")
    assert alice.client.get(f"/v1/runs/{run.pk}").json()["usage"]["cost_micro_usd"] == 0


def test_a_node_whose_only_calls_failed_has_a_model_tab_too(room: EngineRoom, smart: ChatServer, alice: Actor) -> None:
    smart.answer = lambda _: Answer(status=401, error={"error": {"message": "No"}})

    run = room.finish(asks())

    assert run.status == "failed"
    assert "smart local/m $0.00 failed key_refused after" in part(alice, run.pk, "inspector?node=ask&tab=model")


def test_the_history_tells_of_each_call(room: EngineRoom, smart: ChatServer, alice: Actor) -> None:
    run = room.finish(asks())

    assert "asked smart: 11 tokens in, 7 out, $0.000081" in part(alice, run.pk, "history")


# ---- when the money is used up ----------------------------------------------------------------------


@pytest.fixture
def paused(room: EngineRoom, smart: ChatServer, alice: Actor) -> Any:
    """A run that a budget has paused."""
    cap(alice.organization)
    run = room.start(asks())
    room.work()
    assert room.status(run) == "paused"
    return run


def test_the_banner_says_why_and_who_may_allow_more(paused: Any, alice: Actor, browser: Browser) -> None:
    clients = (browser.owner, browser.viewer)
    owner, viewer = (text(client.get(f"/runs/{paused}/head", headers=HTMX)) for client in clients)

    for said in (owner, viewer):
        assert "The budget 'cap' of $0.0001 has $0.0001 left, and this call may cost $0.0" in said
    assert "Allow more…" in owner
    assert "Allow more…" not in viewer
    assert "Paused by budget: The budget 'cap'" in part(alice, paused, "history")


def test_the_runs_above_it_say_which_of_theirs_waits_for_money(
    room: EngineRoom, smart: ChatServer, alice: Actor, bob: Actor
) -> None:
    cap(alice.organization)
    room.save({**asks(), "name": "asking"})
    room.save({**workflow({"inner": {"type": "workflow", "workflow": "asking"}}), "name": "between"})
    top = room.start(workflow({"outer": {"type": "workflow", "workflow": "between", "title": "The whole"}}))
    room.work()
    (between,) = room.children(top)
    (asking,) = room.children(between.pk)

    for actor in (alice, bob):
        for run, node in ((top, "The whole"), (between.pk, "inner")):
            head = signed_in(actor).get(f"/runs/{run}/head", headers=HTMX).content.decode()
            said = part(actor, run, "head")
            assert f"{node} The run that does this part is paused by a budget: The budget 'cap' of $0.0001 has" in said
            assert f'href="/runs/{asking.pk}"' in head


def test_allowing_more_sends_the_run_on_in_one_act(room: EngineRoom, paused: Any, alice: Actor) -> None:
    owner = signed_in(alice)

    first = owner.post(f"/runs/{paused}/allow", {"amount": "1"}, headers=HTMX)
    again = owner.post(f"/runs/{paused}/allow", {"amount": "1"}, headers=HTMX)

    assert (first.status_code, "$1.00 more allowed" in first["HX-Trigger"]) == (204, True)
    assert again.status_code == 409
    with scope(organization=alice.organization):
        assert BudgetAccount.objects.get().extra_micro_usd == 1_000_000, "a second click allows nothing"
    assert room.until_ended(paused).status == "completed"


def test_two_who_allow_more_at_once_allow_it_once(room: EngineRoom, paused: Any, alice: Actor) -> None:
    def allow(_: int) -> int:
        try:
            return signed_in(alice).post(f"/runs/{paused}/allow", {"amount": "1"}, headers=HTMX).status_code
        finally:
            release_connection()

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(allow, range(4)))

    assert answers == [204, 409, 409, 409]
    with scope(organization=alice.organization):
        assert BudgetAccount.objects.get().extra_micro_usd == 1_000_000


def test_a_budget_that_is_gone_is_still_named_and_the_run_may_be_resumed(
    room: EngineRoom, paused: Any, alice: Actor
) -> None:
    alice.client.delete("/v1/budgets/cap")

    head = part(alice, paused, "head")

    assert "The budget 'cap'" in head
    assert "Allow more…" not in head
    room.resume(paused)
    assert room.until_ended(paused).status == "completed"


def test_an_amount_that_is_none_changes_nothing(room: EngineRoom, paused: Any, alice: Actor) -> None:
    for amount in ("", "-1", "0", "nan", "1e999"):
        assert signed_in(alice).post(f"/runs/{paused}/allow", {"amount": amount}).status_code == 422, amount
    assert room.status(paused) == "paused"


def test_who_may_not_manage_allows_nothing(paused: Any, browser: Browser) -> None:
    assert browser.viewer.post(f"/runs/{paused}/allow", {"amount": "1"}).status_code == 403
    assert browser.stranger.post(f"/runs/{paused}/allow", {"amount": "1"}).status_code == 404


def test_a_run_that_a_person_paused_waits_for_no_money(room: EngineRoom, smart: ChatServer, alice: Actor) -> None:
    run = room.start(asks())
    room.pause(run)

    assert "Allow more…" not in part(alice, run, "head")
    assert signed_in(alice).post(f"/runs/{run}/allow", {"amount": "1"}).status_code == 409


def test_an_agent_that_is_executed_alone_says_what_it_cost(
    desk: Desk,  # noqa: F811
    server: ChatServer,  # noqa: F811
    alice: Actor,
) -> None:
    server.answer = in_turn(Answer("Hi"))
    desk.setting(desk.provider(server), is_default=True, **PRICES)

    answer = alice.client.post("/v1/agents/execute", {"agent": "assistant", "input": {"task": "Hi"}}, format="json")

    assert (answer.json()["status"], answer.json()["cost_usd"]) == ("completed", 0.000081)
