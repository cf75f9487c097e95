"""A service that does not answer is left alone, and then met with as many calls as before and not more."""

import random
from collections import Counter

import pytest
from django_scopes import scopes_disabled

from apps.common.errors import Fatal, Retryable
from apps.integrations import registry
from apps.integrations.tools import tool
from apps.workflows.models import Circuit
from apps.workflows.services import circuits
from apps.workflows.services.circuits import Breaker
from apps.workflows.store.database import transaction
from tests.engine.documents import workflow

LATER = """
update workflows_circuit set open_until = open_until - make_interval(secs => %(s)s),
    probe_until = probe_until - make_interval(secs => %(s)s), changed_at = changed_at - make_interval(secs => %(s)s)
"""


class Clock:
    """The time of the processes and of the database, which only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds
        with transaction() as tx:
            tx.execute(LATER, s=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(room):
    return room.organization.pk, "bank"


def fail(breaker, circuit, times=5):
    for _ in range(times):
        breaker.enter(circuit)
        breaker.failed(circuit, "Down.")


def refusal(breaker, circuit) -> Retryable:
    with pytest.raises(Retryable) as caught:
        breaker.enter(circuit)
    assert caught.value.code == "circuit_open"
    return caught.value


def rows():
    with scopes_disabled():
        return list(Circuit.objects.values_list("name", "failures", "openings"))


def test_failures_in_a_row_open_a_circuit_for_every_process(clock, circuit):
    here, elsewhere = Breaker(clock), Breaker(clock)

    fail(here, circuit)

    assert refusal(here, circuit).retry_after == pytest.approx(5, abs=0.2)
    assert refusal(elsewhere, circuit).retry_after == pytest.approx(5, abs=0.2)


def test_an_answer_ends_a_row_of_failures_and_leaves_no_row(clock, circuit):
    breaker = Breaker(clock)
    fail(breaker, circuit, 4)

    breaker.enter(circuit)
    breaker.answered(circuit)
    assert rows() == []
    fail(breaker, circuit, 4)

    breaker.enter(circuit)
    assert rows() == [("bank", 4, 0)]


def test_after_its_rest_one_call_goes_through_and_closes_it(clock, circuit):
    here, elsewhere = Breaker(clock), Breaker(clock)
    fail(here, circuit)

    clock.move(5.1)
    here.enter(circuit)
    assert refusal(elsewhere, circuit).retry_after >= 1
    refusal(here, circuit)
    here.answered(circuit)

    here.enter(circuit)
    clock.move(1.1)  # others hear of it within a second
    elsewhere.enter(circuit)


def test_a_probe_that_fails_doubles_the_rest(clock, circuit):
    breaker = Breaker(clock)
    fail(breaker, circuit)

    clock.move(5.1)
    fail(breaker, circuit, 1)

    assert refusal(breaker, circuit).retry_after == pytest.approx(10, abs=0.3)


def test_a_probe_whose_process_died_is_followed_by_another(clock, circuit):
    dead, alive = Breaker(clock), Breaker(clock)
    fail(dead, circuit)
    clock.move(5.1)
    dead.enter(circuit)

    refusal(alive, circuit)
    clock.move(60.1)

    alive.enter(circuit)


def test_a_late_answer_from_before_does_not_close_an_open_circuit(clock, circuit):
    breaker = Breaker(clock)
    breaker.enter(circuit)
    fail(breaker, circuit)
    refusal(breaker, circuit)

    breaker.answered(circuit)

    refusal(breaker, circuit)


def test_another_organization_has_a_circuit_of_its_own(clock, circuit, charlie):
    breaker = Breaker(clock)

    fail(breaker, circuit)

    breaker.enter((charlie.organization.pk, "bank"))


def test_while_all_is_well_a_call_costs_no_statement(clock, circuit, monkeypatch):
    breaker = Breaker(clock)
    breaker.enter(circuit)
    monkeypatch.setattr(circuits, "look", None)
    monkeypatch.setattr(circuits, "transaction", None)

    for _ in range(100):
        breaker.enter(circuit)
        breaker.answered(circuit)


# ---- in a run -------------------------------------------------------------------------------------


@pytest.fixture
def bank(clock, monkeypatch):
    """A tool `bank` whose service answers as `bank.error` says."""

    class Bank:
        error: Exception | None = None
        calls = 0

    bank = Bank()
    monkeypatch.setattr(circuits, "shared", Breaker(clock))

    @tool(name="bank", effect="external_write", repeat="keyed")
    def ask() -> str:
        bank.calls += 1
        if bank.error:
            raise bank.error
        return "ok"

    yield bank
    registry.unregister("bank")


ASK = {"type": "tool", "tool": "bank", "input": {}}


def test_a_node_that_is_refused_fails_as_retryable_without_a_call(room, bank):
    bank.error = Retryable("Down.", code="http_503")
    for _ in range(5):
        room.finish(workflow({"a": ASK}))

    run = room.finish(workflow({"a": ASK}))

    assert (run.error["code"], run.error["retryable"], bank.calls) == ("circuit_open", True, 5)
    assert run.error["message"] == (
        "'bank' did not answer several times in a row and is left alone for a while. The last failure: Down."
    )


def test_the_last_failure_is_told_whatever_its_message_holds(room, bank):
    bank.error = Retryable("Older.")
    for _ in range(4):
        room.finish(workflow({"a": ASK}))
    bank.error = Retryable("Line one\nhas \x00 and \ud800. " + "x" * 5_000)
    room.finish(workflow({"a": ASK}))

    told = room.finish(workflow({"a": ASK})).error["message"]

    assert "The last failure: Line one has \ufffd and ?. xxx" in told
    assert len(told) < 400


def test_refusals_of_our_own_making_say_nothing_about_the_service(room, bank):
    bank.error = Fatal("No such account.")

    for _ in range(10):
        assert room.finish(workflow({"a": ASK})).error["code"] == "fatal"

    assert (bank.calls, rows()) == (10, [])


def test_a_herd_of_calls_meets_a_service_that_comes_back_at_twice_the_usual_rate_at_most(clock, circuit):
    """500 calls at 20 a second, in two processes; the service is away for 30 seconds. Seconds pass by hand."""
    processes = [Breaker(clock), Breaker(clock)]
    chance = random.Random(7)
    due = [(100 + number / 20, number) for number in range(500)]
    done, seen = set(), Counter()
    down = range(110, 140)
    step = 0.25
    for tick in range(1200):
        now = 100 + tick * step
        for at, number in sorted(one for one in due if one[0] <= now):
            due.remove((at, number))
            breaker = processes[number % 2]
            try:
                breaker.enter(circuit)
            except Retryable as refused:
                due.append((now + (refused.retry_after or 0), number))
                continue
            seen[int(now)] += 1
            if int(now) in down:
                breaker.failed(circuit, "Down.")
                due.append((now + chance.uniform(1, 2), number))
            else:
                breaker.answered(circuit)
                done.add(number)
        if not due:
            break
        clock.move(step)

    assert len(done) == 500
    assert max(seen.values()) <= 40
    assert sum(seen[second] for second in down) <= 20
