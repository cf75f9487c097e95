"""Asking the other side what became of a call, before anybody repeats it or has to decide."""

import asyncio
import json

import pytest

from apps.common.errors import DidNotHappen, Retryable
from apps.integrations import registry
from apps.integrations.egress import fetch
from apps.integrations.tools import ToolContext, tool
from apps.workflows.services import effects as ledger
from tests.engine.documents import workflow
from tests.integrations.servers import Answer, serving
from tests.workflows.probes import probe
from tests.workflows.test_effects import die_before, effects_of, lose, states


class Bank:
    """A service that takes a charge twice if it is asked twice, and remembers each under the caller's key."""

    def __init__(self) -> None:
        self.charges: list[str] = []
        self.lookups = 0
        self.lookup_status = 200
        self.hangs_up = False

    def answer(self, received):
        if received.method == "POST":
            self.charges.append(received.headers["idempotency-key"])
            if self.hangs_up:
                raise ConnectionAbortedError  # the charge is made, and the answer is lost
            return Answer(body=json.dumps(len(self.charges)).encode())
        self.lookups += 1
        key = received.path.removeprefix("/charges/")
        known = self.charges.index(key) + 1 if key in self.charges else None
        if self.lookup_status != 200:
            return Answer(self.lookup_status)
        return Answer(404) if known is None else Answer(body=json.dumps(known).encode())


@pytest.fixture
def bank(settings):
    bank = Bank()
    with serving(bank.answer) as server:
        settings.ORCHESTRA_EGRESS_ALLOW = frozenset({server.address})

        async def find_charge(ctx: ToolContext) -> int:
            answer = await fetch("GET", f"{server.url}/charges/{ctx.idempotency_key}")
            if answer.status == 404:
                raise DidNotHappen
            if answer.status != 200:
                raise Retryable("The bank cannot say.")
            return json.loads(answer.text)

        def find_charge_plainly(amount: int, ctx: ToolContext) -> int:
            assert amount == 5
            return asyncio.run(find_charge(ctx))

        async def charge(ctx: ToolContext, amount: int) -> int:
            answer = await fetch("POST", f"{server.url}/charges", headers={"idempotency-key": ctx.idempotency_key})
            return json.loads(answer.text)

        options = {"effect": "external_write"}
        tool(name="charge", lookup=find_charge, **options)(charge)
        tool(name="charge.plainly", lookup=find_charge_plainly, **options)(charge)
        tool(name="charge.keyed", lookup=find_charge, repeat="keyed", **options)(charge)
        yield bank
    for name in ("charge", "charge.plainly", "charge.keyed"):
        registry.unregister(name)


def one(name="charge", **fields):
    return workflow({"a": {"type": "tool", "tool": name, "input": {"amount": 5}, **fields}})


@pytest.mark.parametrize("name", ["charge", "charge.plainly"])
def test_a_call_that_happened_is_confirmed_with_its_result_and_not_made_again(room, bank, monkeypatch, name):
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one(name))

    lose(room, run)
    room.until_ended(run)

    assert (room.status(run), room.output(run), len(bank.charges)) == ("completed", {"a": 1}, 1)
    (effect,) = effects_of(room, run)
    assert (effect.state, effect.sends, effect.decided_by, effect.decision) == ("confirmed", 1, "lookup", "happened")
    assert (effect.result, effect.fence) == ("1", 2)


def test_a_call_that_did_not_happen_is_made_once(room, bank, monkeypatch):
    monkeypatch.setattr("tests.workflows.test_lookups.fetch", die_on_post(fetch))
    run = room.start(one())

    lose(room, run)
    assert (states(room, run), bank.charges) == (["sent"], [])
    room.until_ended(run)

    assert (room.status(run), len(bank.charges), bank.lookups) == ("completed", 1, 1)
    assert effects_of(room, run)[0].sends == 2


@pytest.mark.parametrize(
    ("on_unknown", "ends", "charges", "state"),
    [(None, "failed", 1, "unknown"), ("fail", "failed", 1, "failed"), ("retry", "completed", 2, "confirmed")],
)
def test_what_the_other_side_cannot_say_is_left_to_the_policy(
    room, bank, monkeypatch, on_unknown, ends, charges, state
):
    die_before(monkeypatch, ledger, "confirm")
    bank.lookup_status = 500
    run = room.start(one(**({"on_unknown": on_unknown} if on_unknown else {})))

    lose(room, run)
    room.until_ended(run)

    assert (room.status(run), len(bank.charges), states(room, run)) == (ends, charges, [state])
    assert bank.lookups == 1


def test_a_call_whose_answer_was_lost_is_looked_up_by_the_retry_policy(room, bank):
    bank.hangs_up = True

    run = room.finish(one(retry={"attempts": 2})).pk

    assert (room.status(run), room.output(run), len(bank.charges)) == ("completed", {"a": 1}, 1)


def test_a_call_that_is_safe_to_repeat_is_repeated_without_asking(room, bank, monkeypatch):
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one("charge.keyed"))

    lose(room, run)
    room.until_ended(run)

    assert (room.status(run), len(bank.charges), len(set(bank.charges)), bank.lookups) == ("completed", 2, 1, 0)


def test_an_ordinary_call_asks_nothing(room, bank):
    room.finish(one())

    assert (len(bank.charges), bank.lookups) == (1, 0)


@pytest.mark.parametrize("is_async", [False, True])
def test_an_agent_goes_on_with_what_the_lookup_gave(room, calls, bank, monkeypatch, is_async):
    def ask(task, ctx):
        given = {"amount": 5}
        return asyncio.run(ctx.acall_tool("charge", given)) if is_async else ctx.call_tool("charge", given)

    calls["a"] = ask
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(workflow({"a": probe("a")}))

    lose(room, run)
    room.until_ended(run)

    assert (room.status(run), room.output(run), len(bank.charges), bank.lookups) == ("completed", {"a": 1}, 1, 1)


def test_a_zombie_does_not_reconcile_what_another_attempt_has_taken_over(room, bank, monkeypatch):
    """It is frozen in the lookup while somebody else claims the node and finishes it."""
    die_before(monkeypatch, ledger, "confirm")
    run = room.start(one())
    lose(room, run)
    real, done = ledger._asked, []

    def frozen(call, look_up):
        if not done:
            done.append(True)
            room.die()
            room.until_ended(run)
        return real(call, look_up)

    monkeypatch.setattr(ledger, "_asked", frozen)
    zombie = room.worker
    claim = room.claim(run, "a")
    room.bring(claim, room.execute(claim, worker=zombie), worker=zombie)

    (effect,) = effects_of(room, run)
    assert (room.status(run), effect.fence, effect.state, len(bank.charges)) == ("completed", 3, "confirmed", 1)


def test_a_lookup_that_takes_what_the_tool_does_not_is_refused():
    with pytest.raises(TypeError, match="takes colour, which the tool does not"):
        tool(name="odd", lookup=lambda colour: colour)(lambda shape: shape)


def test_the_lookup_is_shown(alice, bank):
    shown = alice.client.get("/v1/tools/charge").json()

    assert shown["has_lookup"] is True
    assert alice.client.get("/v1/tools/http.request").json()["has_lookup"] is False


def die_on_post(real):
    """The process dies as the first charge goes out: it never arrives."""
    left = [None]

    async def fetch(method, *args, **kwargs):
        if method == "POST" and left:
            left.pop()
            raise Killed
        return await real(method, *args, **kwargs)

    return fetch


class Killed(BaseException):
    """The process is gone."""
