"""Choosing by merit: the better agents are found, a broken one is left alone, and what is told is what was measured."""

import random
from collections.abc import Iterator

import pytest
from django_scopes import scopes_disabled

from apps.agents import registry
from apps.agents.context import LocalContext
from apps.agents.models import AgentDecision, AgentFigures
from apps.agents.sdk import Agent, BaseModel
from apps.agents.services.merit import route
from apps.agents.services.selection import run_best
from apps.agents.store import figures
from apps.agents.store.figures import BREAKER_FAILURES
from apps.common.errors import Fatal, NotFound, NotNow, Retryable
from tests.agents.live import beat, claim, join, pass_time

QUALITY = {"best": 0.98, "good": 0.93, "fair": 0.7, "poor": 0.4, "broken": 0.0}


@pytest.fixture
def chance():
    return random.Random(7)


@pytest.fixture
def five(chance) -> Iterator[dict[str, int]]:
    """Five agents that can do the same, each as good as its name; counts who was asked how often."""
    asked = dict.fromkeys(QUALITY, 0)

    def made(quality):
        class Able(Agent):
            name = f"zz_{quality}"
            capabilities = ["judge"]

            def exec(self, task, ctx):
                asked[quality] += 1
                if chance.random() >= QUALITY[quality]:
                    raise Retryable(f"{quality} has failed.")
                return {"by": quality}

        return Able.name

    names = [made(quality) for quality in QUALITY]
    yield asked
    for name in names:
        registry.unregister(name)


def ask(organization, key, attempt=1, capability="judge", task=None):
    """One attempt of one visit."""
    try:
        return run_best(capability, task, LocalContext(organization.pk, key=key, attempt=attempt)).output
    except (Retryable, Fatal) as failure:
        return failure


def test_the_better_ones_are_found(organization, five):
    for number in range(200):
        ask(organization, f"visit-{number}")

    assert five["best"] + five["good"] > 140, five
    assert five["broken"] <= BREAKER_FAILURES, five


def test_a_broken_one_is_left_alone_after_as_many_failures_as_the_breaker_takes(organization, five):
    for _ in range(BREAKER_FAILURES):
        figures.record(organization.pk, "zz_best", "judge", success=False, ms=1)

    told = {one["candidate"]: one for one in route(organization.pk, "judge").as_json()["candidates"]}

    assert told["zz_best"]["breaker"] == "open"
    assert "left alone" in told["zz_best"]["verdict"]
    assert route(organization.pk, "judge").chosen.name != "zz_best"


def test_one_probe_at_a_time_finds_out_whether_it_is_well_again(organization):
    def made():
        class Shaky(Agent):
            name = "zz_shaky"
            capabilities = ["shake"]

            def exec(self, task, ctx):
                if task == "bad":
                    raise Retryable("No.")
                return "fine"

    made()
    try:
        for number in range(BREAKER_FAILURES):
            assert isinstance(ask(organization, f"v{number}", capability="shake", task="bad"), Retryable)
        refused = ask(organization, "later", capability="shake")
        assert isinstance(refused, NotNow)
        assert 20 < refused.retry_after <= 30

        pass_time(31)
        assert route(organization.pk, "shake").chosen.figures.breaker == "half_open"
        assert figures.probe(organization.pk, "zz_shaky", "shake")
        assert not figures.probe(organization.pk, "zz_shaky", "shake"), "somebody else is trying"
        assert isinstance(ask(organization, "beside", capability="shake"), NotNow)

        figures.record(organization.pk, "zz_shaky", "shake", success=False, ms=1)
        assert 31 < ask(organization, "again", capability="shake").retry_after <= 60, "twice as long"
        pass_time(61)
        assert ask(organization, "well", capability="shake") == "fine"
        assert figures.read(organization.pk, "shake")["zz_shaky"].breaker == "closed"
    finally:
        registry.unregister("zz_shaky")


def test_an_attempt_after_a_failure_takes_another_and_one_after_a_crash_the_same(organization, five, chance):
    chance.random = lambda: 1.0  # all of them fail
    ask(organization, "v", attempt=1)
    ask(organization, "v", attempt=1)
    assert sorted(five.values()) == [0, 0, 0, 0, 2]

    ask(organization, "v", attempt=2)

    assert sorted(five.values()) == [0, 0, 0, 1, 2]


def test_steps_of_the_next_agent_are_its_own(organization, five, chance, monkeypatch):
    numbers = []
    monkeypatch.setattr(LocalContext, "hand_over", lambda self, number: numbers.append(number))
    chance.random = lambda: 1.0

    for attempt in (1, 2, 3):
        ask(organization, "v", attempt=attempt)

    assert numbers == [1, 2]


def test_what_is_told_is_what_was_measured_and_what_the_choice_was_made_by(organization, five, alice):
    for number in range(40):
        ask(organization, f"visit-{number}")
    told = alice.client.get("/v1/agents/route?capability=judge").json()
    with scopes_disabled():
        rows = {row.agent: row for row in AgentFigures.objects.all()}

    for one in told["candidates"]:
        row = rows.get(one["candidate"])
        assert one["calls"] == (row.calls if row else 0)
        assert one["success"] == pytest.approx(row.success if row else 1, abs=0.01)
        assert one["score"] == pytest.approx(
            sum(told["weights"][part] * one["parts"][part] for part in one["parts"]), abs=1e-3
        )
    usable = [one for one in told["candidates"] if one["breaker"] == "closed"]
    assert told["chosen"] == told["candidates"][0]["candidate"]
    assert told["candidates"][0]["score"] >= max(one["score"] for one in usable) - told["tolerance"]


def test_the_choice_stands_beside_the_attempt(organization, five):
    ask(organization, "visit")

    with scopes_disabled():
        decision = AgentDecision.objects.get(key="visit")
    assert (decision.attempt, decision.chosen, decision.capability) == (1, "zz_best", "judge")
    assert decision.candidates[0]["candidate"] == "zz_best"
    assert "4 others" in decision.reason


def test_without_figures_the_choice_is_what_it_always_was(organization):
    for capability in {one for agent in registry.all() for one in agent.capabilities}:
        assert route(organization.pk, capability).chosen.agent_type.name == registry.select(capability).name


def test_who_does_not_take_the_task_is_passed_over(organization):
    def made(**fields):
        class Picky(Agent):
            name = f"zz_{next(iter(fields))}"
            capabilities = ["pick"]
            Input = type("Input", (BaseModel,), {"__annotations__": fields})

            def exec(self, task, ctx):
                return self.name

    made(apple=str)
    made(pear=str)
    try:
        assert ask(organization, "a", capability="pick", task={"apple": "x"}) == "zz_apple"
        assert ask(organization, "b", capability="pick", task={"pear": "x"}) == "zz_pear"
        wrong = ask(organization, "c", capability="pick", task={"plum": "x"})
        assert (wrong.code, figures.read(organization.pk, "pick")["zz_apple"].calls) == ("invalid_input", 1)
    finally:
        registry.unregister("zz_apple")
        registry.unregister("zz_pear")


def test_slow_and_dear_ones_come_later(organization, five):
    for _ in range(20):
        figures.record(organization.pk, "zz_best", "judge", success=True, ms=20_000)
        figures.record(organization.pk, "zz_broken", "judge", success=True, ms=5, usd=0.5)
        figures.record(organization.pk, "zz_good", "judge", success=True, ms=5)

    order = [one.name for one in route(organization.pk, "judge").table]

    assert order.index("zz_good") < order.index("zz_broken") < len(order)
    assert order[-1] == "zz_best"


def test_instances_outside_are_chosen_by_their_load(organization, alice):
    for name in ("a", "b", "c"):
        join(alice, name, agent_type="judge_outside", capabilities=["assess"], max_concurrency=4)
        claim(alice, name)
    beat(alice, "a", load=3)
    beat(alice, "b", load=1)
    beat(alice, "c", load=2)

    told = route(organization.pk, "assess").as_json()

    assert [one["candidate"] for one in told["candidates"]] == [f"judge_outside/{name}" for name in "bca"]
    assert [one["load"] for one in told["candidates"]] == [0.25, 0.5, 0.75]


def test_what_went_wrong_is_forgotten_with_time(organization):
    for _ in range(3):
        figures.record(organization.pk, "x", "judge", success=False, ms=1)
    before = figures.read(organization.pk, "judge")["x"].success

    pass_time(figures.HALF_LIFE)

    assert figures.read(organization.pk, "judge")["x"].success == pytest.approx(1 - (1 - before) / 2, abs=0.01)


def test_the_times_give_a_percentile(organization):
    for ms in range(1, 101):
        figures.record(organization.pk, "x", "judge", success=True, ms=float(ms))

    assert figures.read(organization.pk, "judge")["x"].p95_ms == 98.0, "of the last fifty"


@pytest.mark.parametrize("query", ["", "?capability=", "?capability=assess&input={"])
def test_a_question_without_sense_is_refused(alice, query):
    assert alice.client.get(f"/v1/agents/route{query}").status_code == 400


def test_everybody_may_look_and_strangers_see_their_own(alice, bob, charlie, guard):
    join(alice, "a", agent_type="judge_outside", capabilities=["assess"])

    assert bob.client.get("/v1/agents/route?capability=assess").json()["agent"] == "judge_outside"
    missing = charlie.client.get("/v1/agents/route?capability=asess")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_capability")
    guard("get", "/v1/agents/route?capability=assess")
    with pytest.raises(NotFound):
        route(charlie.organization.pk, "assess")
