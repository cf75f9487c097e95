"""B7: whatever is killed and when, an effect has one key, and what must not be repeated is never repeated silently."""

import random
from collections import Counter
from uuid import UUID

import pytest

from apps.common.asyncio_loop import run_coroutine
from apps.integrations import registry
from apps.integrations.tools import ToolContext, tool
from apps.workflows import selectors
from apps.workflows.models import Effect
from apps.workflows.services import attempts
from apps.workflows.services import effects as ledger
from apps.workflows.services.unknown_effects import decide_effect
from tests.engine.documents import workflow
from tests.workflows.probes import probe

MOST_DEATHS = 4  # of a run: the fifth loss of one node would be poison


class Killed(BaseException):
    """The process is gone: nothing that follows in it happens."""


class Sink:
    """Counts calls by their Idempotency-Key; `might_die` is asked at every moment where a process could."""

    def __init__(self) -> None:
        self.calls: dict[str, list[str]] = {"once": [], "keyed": []}
        self.chance = random.Random(0)
        self.deaths = 0
        self.died = False

    def receive(self, kind: str, ctx: ToolContext) -> str:
        self.might_die()
        self.calls[kind].append(ctx.idempotency_key)
        self.might_die()
        return ctx.idempotency_key

    def might_die(self) -> None:
        if self.deaths < MOST_DEATHS and self.chance.random() < 0.12:
            self.deaths += 1
            self.died = True
            raise Killed


@pytest.fixture
def sink(monkeypatch):
    sink = Sink()

    @tool(name="once", effect="external_write")
    def once(ctx: ToolContext) -> str:
        return sink.receive("once", ctx)

    @tool(name="keyed", effect="external_write", repeat="keyed")
    async def keyed(ctx: ToolContext) -> str:
        return sink.receive("keyed", ctx)

    def around(name):
        real = getattr(ledger, name)

        def watched(*args, **kwargs):
            sink.might_die()
            given = real(*args, **kwargs)
            sink.might_die()
            return given

        monkeypatch.setattr(ledger, name, watched)

    around("begin")
    around("confirm")
    yield sink
    registry.unregister("once")
    registry.unregister("keyed")


def in_turn(task, ctx):
    return [ctx.call_tool(name) for name in ("once", "keyed", "once")]


def beside_each_other(task, ctx):
    async def work():
        return [await ctx.acall_tool(name) for name in ("keyed", "once", "keyed")]

    return run_coroutine(work())


DOCUMENT = workflow(
    {
        "pay": {"type": "tool", "tool": "once"},
        "put": {"type": "tool", "tool": "keyed"},
        "agent": probe("agent"),
        "async": probe("async"),
        "each": {"type": "map", "over": [1, 2, 3], "node": {"type": "tool", "tool": "once"}},
        "must_not": {"type": "tool", "tool": "once", "idempotent": False},
    },
    ["pay agent", "put agent", "agent each", "async each", "each must_not"],
)
EFFECTS = {"once": 8, "keyed": 4}


class Workers:
    """One worker after the other, and a person who looks at the far end before they decide."""

    def __init__(self, room, sink: Sink) -> None:
        self.room, self.sink = room, sink
        self.asked = 0

    def see_through(self, run: UUID) -> None:
        for _ in range(200):
            if self.room.status(run) == "completed":
                return
            if self.room.status(run) == "failed":
                self.decide(run)
            elif waiting := self.room.claimable():
                self.work(waiting[0])
        raise AssertionError(self.room.statuses(run))

    def work(self, node_run: UUID) -> None:
        claim = attempts.take(node_run, self.room.worker)
        if claim is None:
            return
        outcome = self.room.execute(claim)
        if self.sink.died:
            self.sink.died = False
            self.room.die()
        else:
            self.room.bring(claim, outcome, go_on=False)

    def decide(self, run: UUID) -> None:
        assert self.room.error(run)["code"] in {"effect_unknown", "item_failed"}, self.room.error(run)
        with self.room.scope():
            found = selectors.effects_known_as(selectors.effects(self.room.run(run)), ["unknown"]).first()
            assert found is not None
            happened = found.key in self.sink.calls["once"]
            said = {"decision": "happened", "result": found.key} if happened else {"decision": "retry"}
            decide_effect(found, by="user:ana", **said)
        self.asked += 1


@pytest.mark.parametrize("seed", range(12))
def test_every_effect_has_one_key_and_none_is_repeated_silently(room, calls, sink, seed):
    sink.chance = random.Random(seed)
    calls["agent"], calls["async"] = in_turn, beside_each_other
    run = room.start(DOCUMENT)

    Workers(room, sink).see_through(run)

    assert sink.deaths > 0
    with room.scope():
        ledger_keys = Counter(Effect.objects.filter(run=run).values_list("key", flat=True))
        assert set(Effect.objects.filter(run=run).values_list("state", flat=True)) == {"confirmed"}
    once, keyed = Counter(sink.calls["once"]), Counter(sink.calls["keyed"])
    assert (len(once), len(keyed)) == (EFFECTS["once"], EFFECTS["keyed"])  # one distinct key for each effect, always
    assert set(once.values()) == {1}
    assert ledger_keys == Counter([*once, *keyed])
