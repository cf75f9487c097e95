"""Pausing, resuming, cancelling and retrying a run."""

import asyncio
import threading

import pytest

from apps.common.database import release_connection
from apps.common.errors import Conflict, Fatal
from apps.workflows.services import acting, attempts, recovery
from tests.engine.documents import workflow
from tests.workflows.probes import probe

CHAIN = workflow({name: probe(name) for name in "abc"}, ["a b", "b c"])


# ---- pause ----------------------------------------------------------------------------------------


def test_a_paused_run_finishes_what_runs_and_starts_nothing(room, calls):
    run = room.start(CHAIN)
    claim = room.claim(run, "a")

    room.pause(run)
    room.bring(claim, 1)
    room.work()

    assert (room.status(run), room.statuses(run)) == ("paused", {"a": "completed", "b": "queued"})


def test_a_resumed_run_goes_on(room, calls):
    run = room.start(CHAIN)
    room.work(most=0)
    room.pause(run)
    assert room.claimable() == []

    room.resume(run)

    assert room.until_ended(run).status == "completed"
    assert [event.type for event in room.events(run, "run.paused", "run.resumed")] == ["run.paused", "run.resumed"]


def test_what_only_decides_waits_for_the_resume_too(room, calls):
    run = room.start(workflow({"a": probe("a"), "b": {}}, ["a b"]))
    claim = room.claim(run, "a")
    room.pause(run)

    room.bring(claim, 1)
    assert room.statuses(run) == {"a": "completed", "b": "queued"}

    room.resume(run)
    assert room.until_ended(run).status == "completed"


def test_the_items_of_a_map_wait_for_the_resume(room, calls):
    run = room.start(workflow({"m": {"type": "map", "over": [1, 2, 3], "node": probe("i"), "max_parallel": 1}}))
    room.begin(run, "m")
    claim = room.claim(run, "m", index=0)
    room.pause(run)

    room.bring(claim, 1)
    room.work()
    assert (calls.calls["i"], room.status(run)) == (0, "paused")

    room.resume(run)
    assert room.until_ended(run).status == "completed"


def test_time_does_not_move_a_paused_run(room):
    run = room.start(workflow({"w": {"type": "wait", "seconds": 5}}))
    room.work()
    room.pause(run)

    room.pass_time(60)
    assert (room.status(run), room.statuses(run)) == ("paused", {"w": "waiting"})

    room.resume(run)
    room.pass_time(0)
    assert room.until_ended(run).status == "completed"


def test_a_paused_run_takes_decisions_and_events(room):
    run = room.start(workflow({"w": {"type": "wait", "event": "e"}, "n": {}}, ["w n"]))
    room.work()
    room.pause(run)

    assert room.signal(run, "e")
    assert room.statuses(run) == {"w": "completed", "n": "queued"}

    room.resume(run)
    assert room.until_ended(run).status == "completed"


def test_a_run_whose_last_node_ends_while_it_is_paused_completes(room, calls):
    run = room.start(workflow({"a": probe("a")}))
    claim = room.claim(run, "a")
    room.pause(run)

    room.bring(claim, 1)

    assert room.status(run) == "completed"


def test_pausing_twice_is_pausing_once(room):
    run = room.start(CHAIN)

    room.pause(run)
    room.pause(run)

    assert len(room.events(run, "run.paused")) == 1


def test_only_a_paused_run_is_resumed(room):
    run = room.start(CHAIN)

    with pytest.raises(Conflict, match="resumed"):
        room.resume(run)


@pytest.mark.parametrize("act", ["pause", "resume", "retry", "cancel"])
def test_a_completed_run_is_neither_of_these(room, act):
    run = room.finish(workflow({"a": {}}))

    with pytest.raises(Conflict) as raised:
        getattr(room, act)(run.pk)

    assert "completed" in raised.value.detail


# ---- cancel ---------------------------------------------------------------------------------------


def test_a_cancelled_run_ends_with_everything_in_flight(room, calls):
    run = room.start(workflow({"a": probe("a"), "w": {"type": "wait", "event": "e"}, "b": probe("b")}))
    late = room.claim(run, "a")
    room.begin(run, "w")

    room.cancel(run)
    room.bring(late, "late")

    assert (room.status(run), set(room.statuses(run).values())) == ("cancelled", {"cancelled"})
    assert room.attempts(run, "a") == ["cancelled"]
    assert room.claimable() == []


def test_cancelling_twice_is_cancelling_once(room):
    run = room.start(CHAIN)

    room.cancel(run)
    room.cancel(run)

    assert len(room.events(run, "run.cancelled")) == 1


def test_a_running_body_is_told(room, calls):
    told = []

    def work(task, ctx):
        room.cancel(ctx.run_id)
        told.append(ctx.cancelled)
        room.look_after()
        told.append(ctx.cancelled)
        ctx.check_cancelled()
        told.append("went on")

    calls["a"] = work
    run = room.start(CHAIN)

    room.work()

    assert told == [False, True]
    assert (room.status(run), room.attempts(run, "a")) == ("cancelled", ["cancelled"])


def test_a_running_coroutine_is_stopped(room, calls):
    stopped = threading.Event()

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    calls["a"] = lambda task, ctx: work()
    run = room.start(CHAIN)
    thread = threading.Thread(target=lambda: (room.work(most=1), release_connection()))
    thread.start()
    while room.statuses(run) != {"a": "running"} or not room.worker.watched():
        pass

    room.cancel(run)
    room.look_after()
    thread.join(5)

    assert stopped.is_set()
    assert room.attempts(run, "a") == ["cancelled"]


def test_the_log_and_progress_of_a_cancelled_body_change_nothing(room, calls, caplog):
    def work(task, ctx):
        ctx.progress(0.5, "half")
        room.cancel(ctx.run_id)

    calls["a"] = work
    run = room.start(CHAIN)

    room.work()

    assert room.events(run)[-1].type == "run.cancelled"
    assert "flush_failed" not in caplog.text


def test_progress_is_told_while_a_node_runs(room, calls):
    def work(task, ctx):
        ctx.progress(0.25, "a quarter")
        [watched] = room.worker.watched()
        watched.flush()
        return task

    calls["a"] = work
    run = room.finish(workflow({"a": probe("a")}))

    (event,) = room.events(run.pk, "node.progress")
    assert event.data == {"fraction": 0.25, "message": "a quarter"}


def test_a_draining_worker_claims_nothing_further(room, calls):
    run = room.start(CHAIN)
    claim = room.claim(run, "a")
    room.worker.draining = True

    assert attempts.bring(claim, room.execute(claim), room.worker) is None
    assert room.statuses(run) == {"a": "completed", "b": "queued"}


# ---- retry ----------------------------------------------------------------------------------------


def test_a_retry_repeats_nothing_that_finished(room, calls):
    calls.fails("b", Fatal("no"))
    run = room.finish(CHAIN, {"x": 1})
    assert run.status == "failed"

    room.retry(run.pk)

    assert room.until_ended(run.pk).status == "completed"
    assert dict(calls.calls) == {"a": 1, "b": 2, "c": 1}
    again = room.run(run.pk)
    assert (again.error, again.finished_at > run.finished_at) == (None, True)
    assert room.attempts(run.pk, "b") == ["failed", "completed"]


def test_a_retry_starts_what_the_failure_cancelled(room, calls):
    calls.fails("a", Fatal("no"))
    run = room.start(workflow({"a": probe("a"), "b": probe("b"), "w": {"type": "wait", "event": "e"}}))
    claim = room.claim(run, "a")
    room.claim(run, "b")
    room.begin(run, "w")
    room.bring(claim, room.execute(claim))
    assert set(room.statuses(run).values()) == {"failed", "cancelled"}

    room.retry(run)
    room.work()
    assert room.statuses(run) == {"a": "completed", "b": "completed", "w": "waiting"}
    room.signal(run, "e")

    assert room.status(run) == "completed"


def test_a_retry_inside_a_map_repeats_no_item_that_finished(room, calls):
    failing = {2}

    def work(task, ctx):
        if task in failing:
            failing.discard(task)
            raise Fatal("no")
        return task * 10

    calls["i"] = work
    document = workflow(
        {"m": {"type": "map", "over": [1, 2, 3, 4], "node": probe("i", input="{{ item }}"), "max_parallel": 1}}
    )
    run = room.finish(document)
    assert (run.status, [task for _, task in calls.asked]) == ("failed", [1, 2])

    room.retry(run.pk)

    assert room.until_ended(run.pk).status == "completed"
    assert [task for _, task in calls.asked] == [1, 2, 2, 3, 4]
    assert room.output(run.pk) == {"m": [10, 20, 30, 40]}


def test_a_retry_in_a_loop_goes_on_with_the_same_visit(room, calls):
    turns = []

    def work(task, ctx):
        turns.append(ctx.visit)
        if ctx.visit == 2 and turns.count(2) == 1:
            raise Fatal("no")
        return {"done": ctx.visit == 3}

    calls["a"] = work
    run = room.finish(workflow({"s": {}, "a": probe("a")}, ["s a", {"from": "a", "to": "a", "when": "!output.done"}]))

    room.retry(run.pk)

    assert room.until_ended(run.pk).status == "completed"
    assert turns == [1, 2, 2, 3]


def test_a_retry_can_fail_again_and_be_retried_again(room, calls):
    calls.fails("b", Fatal("one"), Fatal("two"))
    run = room.finish(CHAIN).pk

    room.retry(run)
    assert room.until_ended(run).status == "failed"
    room.retry(run)

    assert room.until_ended(run).status == "completed"
    assert dict(calls.calls) == {"a": 1, "b": 3, "c": 1}


def test_a_retry_writes_to_the_context_once(room, calls):
    nodes = {
        "a": {"values": {"v": 1}, "save": {"all": "{{ output.v }}"}},
        "b": probe("b", save={"all": "b", "route": "{{ output.x }}"}),
    }
    calls.fails("b", Fatal("no"))
    run = room.finish(workflow(nodes, ["a b"], context={"all": {"reducer": "append", "initial": []}}), {}).pk
    calls["b"] = lambda task, ctx: {"x": 2}

    room.retry(run)
    room.until_ended(run)

    assert room.context(run) == {"all": [1, "b"], "route": 2}


def test_a_retry_of_a_node_that_failed_for_its_route_writes_once(room, calls):
    edges = [{"from": "a", "to": "b", "route": "go"}]
    calls["a"] = lambda task, ctx: {"route": "go" if calls.calls["a"] > 1 else "nowhere"}
    document = workflow({"a": probe("a", save={"all": 1}), "b": {}}, edges, context={"all": {"reducer": "append"}})
    run = room.finish(document).pk
    assert (room.error(run)["code"], room.context(run)) == ("unknown_route", {})

    room.retry(run)
    room.until_ended(run)

    assert room.context(run) == {"all": [1]}


def test_a_retried_run_that_had_run_out_of_time_has_its_whole_time_again(room, calls):
    run = room.start(workflow({"w": {"type": "wait", "event": "e"}}, timeout=60))
    room.work()
    room.pass_time(61)
    assert room.status(run) == "failed"

    room.retry(run)
    room.work()
    room.pass_time(30)

    assert room.status(run) == "waiting"


def test_a_cancelled_run_is_not_retried(room):
    run = room.start(CHAIN)
    room.cancel(run)

    with pytest.raises(Conflict, match="retried"):
        room.retry(run)


# ---- what comes too late --------------------------------------------------------------------------


def test_a_run_that_completes_just_before_its_deadline_is_noticed_stays_completed(room, monkeypatch):
    run = room.finish(workflow({"a": {"values": {"v": 1}}}, timeout=60)).pk
    monkeypatch.setattr("apps.workflows.store.recovery.late_runs", lambda tx: [run])

    recovery.end_late_runs()

    assert (room.status(run), room.output(run)) == ("completed", {"a": {"v": 1}})


def test_a_child_that_completes_just_before_it_is_cancelled_stays_completed(room, monkeypatch):
    run = room.finish(workflow({"a": {"values": {"v": 1}}})).pk
    monkeypatch.setattr("apps.workflows.store.recovery.orphans", lambda tx, parent: [run])

    acting.cancel_orphans()

    assert (room.status(run), room.output(run)) == ("completed", {"a": {"v": 1}})
