"""An agent that dies at any of its steps goes on at that step: nothing that was finished is done again."""

import asyncio
import time
from collections import Counter

import psycopg
import pytest
from django.db import connection

from apps.common.asyncio_loop import run_coroutine
from apps.integrations import registry
from apps.integrations.tools import ToolContext, tool
from apps.workflows.models import JournalEntry
from apps.workflows.services import effects as ledger
from apps.workflows.services.attempts import execute
from apps.workflows.store import database, journal
from apps.workflows.store.database import transaction
from apps.workflows.store.journal import Step
from tests.engine.documents import workflow
from tests.workflows.probes import probe

STEPS = 10
MOMENTS = ["before it is sent", "before its answer is kept", "after its answer was kept"]


class Killed(BaseException):
    """The process is gone: nothing that follows in it happens."""


class FarEnd:
    """Counts calls by their key, and says when the process dies: once, at the given call and moment."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.dies_at: tuple[int, str] | None = None

    @property
    def keys(self) -> Counter[str]:
        return Counter(self.calls)

    def moment(self, call: int, name: str) -> None:
        if self.dies_at == (call, name):
            self.dies_at = None
            raise Killed


@pytest.fixture(params=["keyed", "ask", "read"])
def far_end(request, monkeypatch):
    """A tool of each kind, and the moments around its calls."""
    far_end = FarEnd()
    effect = "read" if request.param == "read" else "external_write"

    @tool(name="far", effect=effect, repeat=None if request.param == "read" else request.param)
    def far(ctx: ToolContext, number: int) -> int:
        call = int(ctx.idempotency_key.rpartition(":")[2])
        if request.param == "read":
            far_end.moment(call, "before it is sent")
        far_end.calls.append(ctx.idempotency_key)
        if request.param == "read":
            far_end.moment(call, "before its answer is kept")
        return number * number

    begin, confirm, record = ledger.begin, ledger.confirm, journal.write

    def watched_begin(call, look_up):
        far_end.moment(call.number, "before it is sent")
        return begin(call, look_up)

    def watched_confirm(call, result, step=None):
        far_end.moment(call.number, "before its answer is kept")
        kept = confirm(call, result, step)
        far_end.moment(call.number, "after its answer was kept")
        return kept

    def watched_write(row, step, result):
        written = record(row, step, result)
        far_end.moment(step.position + 1, "after its answer was kept")
        return written

    monkeypatch.setattr(ledger, "begin", watched_begin)
    monkeypatch.setattr(ledger, "confirm", watched_confirm)
    monkeypatch.setattr(journal, "write", watched_write)
    far_end.kind = request.param
    yield far_end
    registry.unregister("far")


def ten_calls(task, ctx):
    return [ctx.call_tool("far", {"number": number}) for number in range(STEPS)]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("call", range(1, STEPS + 1))
def test_an_agent_killed_at_any_moment_goes_on_there(room, calls, far_end, call, moment):
    calls["a"] = ten_calls
    run = room.start(workflow({"a": probe("a")}))
    far_end.dies_at = (call, moment)

    execute(room.claim(run, "a"), room.worker)
    room.die()
    finished = len(far_end.calls)
    room.until_ended(run)

    assert finished == call - (moment == "before it is sent")
    in_flight = moment == "before its answer is kept"
    if in_flight and far_end.kind == "ask":
        assert room.error(run)["code"] == "effect_unknown"
        assert len(far_end.calls) == call  # nothing is repeated silently
    else:
        assert room.output(run) == {"a": [number * number for number in range(STEPS)]}
        assert len(far_end.calls) == STEPS + in_flight
    assert max(far_end.keys.values()) == 1 + (in_flight and far_end.kind != "ask")


def test_an_agent_killed_at_each_of_its_steps_in_turn_is_done_in_the_end(room, calls, far_end):
    """Losses are counted by node: the fourth of them is still no poison."""
    calls["a"] = ten_calls
    run = room.start(workflow({"a": probe("a")}))

    for call in (2, 4, 6, 8):
        far_end.dies_at = (call, "after its answer was kept")
        execute(room.claim(run, "a"), room.worker)
        room.die()
    room.until_ended(run)

    assert room.output(run) == {"a": [number * number for number in range(STEPS)]}
    assert list(far_end.keys.values()) == [1] * STEPS


async def _both(ctx):
    return await asyncio.gather(*(ctx.acall_tool("far", {"number": number}) for number in range(STEPS)))


def test_calls_that_an_agent_makes_beside_each_other_keep_their_keys(room, calls, far_end):
    calls["a"] = lambda task, ctx: run_coroutine(_both(ctx))
    run = room.start(workflow({"a": probe("a")}))
    claim = room.claim(run, "a")

    execute(claim, room.worker)
    room.die()
    room.until_ended(run)

    assert room.output(run) == {"a": [number * number for number in range(STEPS)]}
    assert list(far_end.keys.values()) == [1] * STEPS


def test_a_zombie_s_entry_is_refused_also_when_it_comes_while_another_claims(room, calls):
    """The entry waits for a claim that is being committed, and then sees it."""
    run = room.start(workflow({"a": probe("a")}))
    late = room.claim(run, "a").row
    room.die()

    with transaction() as tx:
        tx.execute("update workflows_noderun set fence = fence + 1 where id = %(id)s", id=late.id)

    assert not journal.write(late, Step(0, "s"), 1)
    assert not JournalEntry.objects.exists()


def test_the_journal_waits_for_a_database_that_comes_back(room, calls, monkeypatch):
    """A restart of the database is no failure of the agent that takes a step meanwhile."""
    real, away = journal.transaction, [0]

    def flaky():
        away[0] += 1
        if away[0] % 15:
            raise psycopg.OperationalError("the server is starting")
        return real()

    monkeypatch.setattr(journal, "transaction", flaky)
    monkeypatch.setattr(database.time, "sleep", lambda _: None)
    calls["a"] = lambda task, ctx: [ctx.step("s", int, "7"), ctx.step("t", int, "8")]

    run = room.finish(workflow({"a": probe("a")}))

    assert (run.status, room.output(run)) == ("completed", {"a": [7, 8]})


def test_each_step_is_recorded_with_the_time_that_it_took(room, calls, far_end):
    def work(task, ctx):
        ctx.step("rest", time.sleep, 0.2)
        ctx.call_tool("far", {"number": 1})
        return run_coroutine(ctx.astep("rest", asyncio.sleep, 0.1))

    calls["a"] = work

    assert room.finish(workflow({"a": probe("a")})).status == "completed"

    took = [(one.created_at - one.started_at).total_seconds() for one in JournalEntry.objects.order_by("position")]
    assert took[0] >= 0.2
    assert took[1] >= 0
    assert took[2] >= 0.1


def test_an_agent_keeps_no_connection_while_it_works(room, calls, far_end):
    """There are more slots than connections: steps that take a minute must not leave the others without one."""
    seen = []

    def work(task, ctx):
        for number in range(2):
            ctx.step("s", lambda: seen.append(connection.connection))
            seen.append(connection.connection)
            ctx.call_tool("far", {"number": number})
            seen.append(connection.connection)

    calls["a"] = work

    assert room.finish(workflow({"a": probe("a")})).status == "completed"
    assert seen == [None] * 6
