"""A tool says how many calls it takes at a time: all workers together make no more, and who waits loses nothing."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connections
from django_scopes import scopes_disabled

from apps.common.errors import Retryable
from apps.integrations import registry
from apps.integrations.tools import ToolContext, tool
from apps.workflows.models import Effect, JournalEntry, Slot
from apps.workflows.nodes.base import Deferred
from apps.workflows.services import circuits, slots
from apps.workflows.services.circuits import Breaker
from apps.workflows.services.leases import Leases
from apps.workflows.services.slots import Slots
from apps.workflows.store import workers
from apps.workflows.store.database import transaction
from tests.engine.documents import workflow
from tests.workflows.probes import probe

CALL = {"type": "tool", "tool": "bank", "input": {}}


class Bank:
    """A tool that takes two calls at a time, and what it saw."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.keys = []
        self.errors = []
        self.seconds = 0.0

    def call(self, key):
        with self.lock:
            self.keys.append(key)
            self.now += 1
            self.most = max(self.most, self.now)
            error = self.errors.pop(0) if self.errors else None
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        if error:
            raise error
        return "ok"


@pytest.fixture
def bank(monkeypatch):
    bank = Bank()
    monkeypatch.setattr(slots, "shared", Slots())
    monkeypatch.setattr(circuits, "shared", Breaker())

    @tool(name="bank", effect="external_write", concurrency=2)
    def ask(ctx: ToolContext) -> str:
        return bank.call(ctx.idempotency_key)

    yield bank
    registry.unregister("bank")


def start_worker(leases: Leases | None = None) -> Leases:
    """A worker that the others know of."""
    leases = leases or Leases()
    facts = {"host": "here", "pid": 1, "lock_key": 1, "slots": 9, "handlers": [], "version": "1"}
    with transaction() as tx:
        workers.register(tx, id=leases.worker, name="w", **facts)
    return leases


def stop_worker(leases: Leases) -> None:
    with transaction() as tx:
        workers.stop(tx, leases.worker, "dead")


@pytest.fixture
def name(room, bank):
    return room.organization.pk, "bank"


@pytest.fixture
def full(name):
    """Somebody else has both slots; gives who, and the holders."""
    elsewhere = start_worker()
    return elsewhere, [slots.shared.take(name, 2, elsewhere.worker) for _ in range(2)]


def holders():
    with scopes_disabled():
        return [slot.holder for slot in Slot.objects.order_by("name", "number")]


# ---- how many -------------------------------------------------------------------------------------


def test_no_more_calls_are_under_way_than_the_tool_takes_over_two_workers(room, bank):
    bank.seconds = 0.01
    run = room.start(workflow({"all": {"type": "map", "over": list(range(24)), "max_parallel": 24, "node": CALL}}))
    processes = [start_worker(), start_worker()]

    def work(number):
        try:
            room.work(worker=processes[number % 2])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as threads:
        for _ in range(24):  # a call for each item, and mostly two at once
            list(threads.map(work, range(6)))
            room.make_due(3600)
            for process in processes:
                process.memory.forget(run)  # what they know of the times is not so any more
            if room.status(run) == "completed":
                break

    assert room.status(run) == "completed"
    assert bank.most == 2
    assert len(bank.keys) == len(set(bank.keys)) == 24
    assert holders() == [None, None]


def test_of_many_that_take_at_one_moment_no_two_have_the_same_slot(name):
    worker = start_worker().worker
    processes = [Slots() for _ in range(8)]
    slots.shared.give(name, slots.shared.take(name, 3, worker))
    held, most, lock = set(), [], threading.Lock()

    def take_and_give(process):
        try:
            for _ in range(40):
                try:
                    holder = process.take(name, 3, worker)
                except Deferred:
                    continue
                with lock:
                    held.add(holder)
                    most.append(len(held))
                time.sleep(0.005)  # long enough for the others to ask meanwhile
                with lock:
                    held.discard(holder)
                process.give(name, holder)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(take_and_give, processes))

    assert max(most) <= 3
    assert holders() == [None] * 3


def test_another_organization_has_slots_of_its_own(name, full, charlie):
    assert slots.shared.take((charlie.organization.pk, "bank"), 2, full[0].worker)


def test_a_tool_that_takes_more_than_it_did_has_more_slots(name, full):
    assert slots.shared.take(name, 3, full[0].worker)


def test_a_tool_without_a_limit_costs_no_statement(room, bank, monkeypatch, calls):
    monkeypatch.setattr(slots, "look", None)

    @tool(name="free")
    def free() -> str:
        return "ok"

    try:
        assert room.finish(workflow({"a": {"type": "tool", "tool": "free", "input": {}}})).status == "completed"
    finally:
        registry.unregister("free")


def test_a_tool_that_takes_no_call_is_refused():
    with pytest.raises(ValueError, match="concurrency"):
        tool(name="none", concurrency=0)(lambda: None)


# ---- who is gone ----------------------------------------------------------------------------------


def test_the_slot_of_a_killed_worker_is_free_again(room, bank, name, full):
    with pytest.raises(Deferred):
        slots.shared.take(name, 2, start_worker().worker)

    stop_worker(full[0])

    assert room.finish(workflow({"a": CALL})).status == "completed"
    assert len(bank.keys) == 1


def test_what_a_worker_that_was_taken_for_dead_gives_back_is_nobody_elses(name, full):
    late, alive = full[0], start_worker()
    stop_worker(late)
    taken = [slots.shared.take(name, 2, alive.worker) for _ in range(2)]

    for holder in full[1]:
        slots.shared.give(name, holder)

    assert sorted(holders()) == sorted(taken)


def test_a_slot_that_could_not_be_given_back_is_given_back_with_the_next(name, monkeypatch):
    worker = start_worker().worker
    first, second = (slots.shared.take(name, 2, worker) for _ in range(2))
    with monkeypatch.context() as cut:
        cut.setattr(slots, "_give", _no_database)
        cut.setattr(slots, "MANY_TRIES", 1)
        slots.shared.give(name, first)
    assert holders() == [first, second]

    third = slots.shared.take(name, 2, worker)
    slots.shared.give(name, second)

    assert holders() == [third, None]


def _no_database(*_):
    raise circuits.TRANSIENT[0]("gone")


def test_an_answer_to_a_commit_that_is_lost_costs_no_slot(name, monkeypatch):
    worker = start_worker().worker
    slots.shared.give(name, slots.shared.take(name, 2, worker))
    take, lost = slots.slots.take, []

    def lose_the_first(*args, **facts):
        found = take(*args, **facts)
        if not lost:
            lost.append(found)
            raise circuits.TRANSIENT[0]("cut")
        return found

    monkeypatch.setattr(slots.slots, "take", lose_the_first)

    holder = slots.shared.take(name, 2, worker)

    assert (lost, holders()) == ([True], [holder, None])


# ---- who waits ------------------------------------------------------------------------------------


def test_a_node_that_finds_no_room_waits_and_uses_up_no_attempt(room, bank, name, full):
    run = room.start(workflow({"a": CALL}))
    for _ in range(3):
        room.work()
        assert (room.statuses(run), room.node(run, "a").attempt) == ({"a": "retrying"}, 0)
        room.pass_time(60)

    for holder in full[1]:
        slots.shared.give(name, holder)

    assert room.until_ended(run).status == "completed"
    assert room.attempts(run, "a") == ["deferred"] * 3 + ["completed"]
    assert (room.node(run, "a").attempt, len(bank.keys)) == (1, 1)
    told = [(event.data["reason"], event.data["error"]["code"]) for event in room.events(run, "node.retrying")]
    assert told == [("deferred", "no_slot")] * 3


def test_whoever_waits_looks_twice_a_second_at_the_most_and_ever_less_often(room, bank, full):
    run = room.start(workflow({"a": CALL}))

    for _ in range(8):
        room.work()
        room.pass_time(60)

    delays = [event.data["delay"] for event in room.events(run, "node.retrying")]
    assert all(delay >= 0.5 for delay in delays)
    assert all(delay >= 5 for delay in delays[4:])
    assert len(set(delays)) == len(delays)


def test_waiting_for_room_leaves_the_retries_as_they_were(room, bank, name, full):
    run = room.start(workflow({"a": CALL | {"retry": {"attempts": 2}}}))
    room.work()
    for holder in full[1]:
        slots.shared.give(name, holder)
    bank.errors = [Retryable("Down.", code="down"), Retryable("Still down.", code="down")]

    assert room.until_ended(run).status == "failed"
    assert room.attempts(run, "a") == ["deferred", "failed", "failed"]


def test_the_runs_own_time_out_ends_the_waiting(room, bank, full):
    run = room.start(workflow({"a": CALL}, timeout=30))
    room.work()

    room.pass_time(31)

    assert (room.status(run), room.error(run)["code"], bank.keys) == ("failed", "timeout", [])


def test_a_call_that_waits_stands_in_no_ledger(room, bank, full):
    run = room.start(workflow({"a": CALL}))

    room.work()

    with room.scope():
        assert not Effect.objects.filter(run=run).exists()


def test_a_slot_is_given_back_however_the_call_ends(room, bank):
    start_worker(room.worker)
    bank.errors = [Retryable("Down."), ValueError("odd")]

    for _ in range(3):
        room.finish(workflow({"a": CALL}))

    assert holders() == [None, None]


def test_an_open_circuit_takes_no_slot(room, bank, name):
    start_worker(room.worker)
    for _ in range(5):
        circuits.shared.failed(name, "Down.")

    assert room.finish(workflow({"a": CALL})).error["code"] == "circuit_open"
    assert holders() == [None, None]


# ---- agents ---------------------------------------------------------------------------------------


def two_calls(task, ctx):
    ctx.step("read", lambda: calls_of_step.append(1))
    try:
        return ctx.call_tool("bank")
    except Exception:  # noqa: BLE001 - whatever the tool may answer; that there is no room is no answer
        return "gave up"


calls_of_step: list[int] = []


def test_an_agent_that_finds_no_room_comes_back_and_does_nothing_twice(room, bank, name, full, calls):
    calls_of_step.clear()
    calls["a"] = two_calls
    run = room.start(workflow({"a": probe("a")}))
    room.work()
    assert (room.statuses(run), room.attempts(run, "a")) == ({"a": "retrying"}, ["deferred"])

    for holder in full[1]:
        slots.shared.give(name, holder)

    assert room.output(room.until_ended(run)) == {"a": "ok"}
    assert (len(calls_of_step), len(bank.keys), room.node(run, "a").attempt) == (1, 1, 1)


def test_an_agent_that_goes_on_in_spite_of_that_is_not_heard(room, bank, full, calls):
    def stubborn(task, ctx):
        for what in (lambda: ctx.call_tool("bank"), lambda: ctx.step("beside", lambda: 1)):
            with suppress(BaseException):
                what()
        return "done without"

    calls["a"] = stubborn
    run = room.start(workflow({"a": probe("a")}))

    room.work()

    assert room.statuses(run) == {"a": "retrying"}
    assert not JournalEntry.objects.filter(node_run=room.node(run, "a").pk).exists()


def test_calls_beside_one_that_finds_no_room_come_to_their_end(room, name, full, calls, monkeypatch):
    """A call whose effect must not be repeated is not left in doubt because another one waits."""
    began, turned_away = asyncio.Event(), threading.Event()
    refuse = slots.shared._turned_away
    monkeypatch.setattr(slots.shared, "_turned_away", lambda *args: turned_away.set() or refuse(*args))

    @tool(name="slow", effect="external_write")
    async def slow() -> str:
        began.set()
        await asyncio.to_thread(turned_away.wait, 5)  # a second at the most, or the test has failed anyway
        await asyncio.sleep(0.05)
        return "slowly"

    async def beside(task, ctx):
        async with asyncio.TaskGroup() as group:
            first = group.create_task(ctx.acall_tool("slow"))
            await began.wait()
            others = [group.create_task(ctx.acall_tool("bank"))]
            await asyncio.to_thread(turned_away.wait, 5)
            others.append(group.create_task(ctx.acall_tool("bank")))
        return [call.result() for call in (first, *others)]

    calls["a"] = beside
    run = room.start(workflow({"a": probe("a")}))
    try:
        room.work()
        with room.scope():
            states = list(Effect.objects.filter(run=run).values_list("tool", "state"))
        assert (room.statuses(run), states) == ({"a": "retrying"}, [("slow", "confirmed")])
        for holder in full[1]:
            slots.shared.give(name, holder)
        assert room.output(room.until_ended(run)) == {"a": ["slowly", "ok", "ok"]}
    finally:
        registry.unregister("slow")


# ---- the retry budget -----------------------------------------------------------------------------


def test_a_retry_over_the_budget_waits_its_turn_and_uses_up_no_attempt(room, bank, monkeypatch):
    run = room.start(workflow({"a": CALL | {"retry": {"attempts": 2, "delay": 1}, "on_unknown": "retry"}}))
    bank.errors = [Retryable("Down.", code="down")]
    room.work()
    for _ in range(10):
        circuits.shared.enter((room.organization.pk, "bank"), retry=True)

    room.pass_time(60)
    room.work()

    assert (room.statuses(run), room.node(run, "a").attempt, len(bank.keys)) == ({"a": "retrying"}, 1, 1)
    assert room.attempts(run, "a") == ["failed", "deferred"]
    assert room.events(run, "node.retrying")[-1].data["error"]["code"] == "retry_budget"
    assert room.node(run, "a").error["code"] == "down"

    monkeypatch.setattr(circuits, "shared", Breaker())  # a while later
    assert room.until_ended(run).status == "completed"
    assert room.attempts(run, "a") == ["failed", "deferred", "completed"]


def test_who_comes_back_after_a_loss_is_no_retry(room, bank):
    run = room.start(workflow({"a": CALL}))
    room.claim(run, "a")
    for _ in range(10):
        circuits.shared.enter((room.organization.pk, "bank"), retry=True)

    room.die()

    assert room.until_ended(run).status == "completed"
    assert room.attempts(run, "a") == ["lost", "completed"]
