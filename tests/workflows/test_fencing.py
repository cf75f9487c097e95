"""Claims, fences, losses: what makes a crash, a freeze, a double and a forgery harmless."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from apps.common.database import release_connection
from apps.workflows import tasks
from apps.workflows.models import JournalEntry, RunEvent
from apps.workflows.services import attempts, recovery, settler
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.leases import Leases
from apps.workflows.services.settler import News
from apps.workflows.services.transition import again
from apps.workflows.store import journal, progress, writing
from apps.workflows.store.database import transaction
from tests.engine.documents import workflow
from tests.workflows.probes import probe

ONE = workflow({"a": probe("a", input="in")})


def completions(room, run, node):
    return [event.data["output"] for event in room.events(run, "node.completed") if event.node == node]


def test_a_late_result_is_refused_once_another_has_claimed(room, calls):
    run = room.start(ONE)
    late = room.claim(run, "a")
    frozen = room.worker
    room.die()
    room.claim(run, "a", worker=(second := room.another_worker()))

    room.bring(late, "late", worker=frozen)

    assert room.statuses(run) == {"a": "running"}
    assert room.node(run, "a").worker == second.worker


def test_only_the_result_of_the_new_claim_counts(room, calls):
    run = room.start(ONE)
    late = room.claim(run, "a")
    room.die()
    now = room.claim(run, "a")

    room.bring(now, "now")
    room.bring(late, "late")

    assert completions(room, run, "a") == ["now"]
    assert room.output(run) == {"a": "now"}
    assert room.attempts(run, "a") == ["lost", "completed"]


def test_a_slow_worker_that_nobody_has_replaced_may_still_finish(room, calls):
    run = room.start(ONE)
    slow = room.claim(run, "a")
    room.die()
    assert (room.statuses(run), room.attempts(run, "a")) == ({"a": "queued"}, ["lost"])

    room.bring(slow, "in the end")

    assert (room.status(run), room.output(run)) == ("completed", {"a": "in the end"})
    assert room.attempts(run, "a") == ["completed"]
    node = room.node(run, "a")
    assert (node.attempt, node.lost_count) == (1, 1)


def test_its_failure_counts_as_well(room, calls):
    run = room.start(workflow({"a": probe("a", retry={"attempts": 2, "delay": 1})}))
    slow = room.claim(run, "a")
    room.die()

    calls.fails("a", ValueError("no"))
    room.bring(slow, room.execute(slow))

    assert room.statuses(run) == {"a": "retrying"}
    assert room.attempts(run, "a") == ["failed"]
    assert room.node(run, "a").attempt == 1


def test_a_result_that_comes_twice_counts_once(room, calls):
    run = room.start(workflow({"a": probe("a"), "b": probe("b")}, ["a b"]))
    claim = room.claim(run, "a")

    room.bring(claim, 1, go_on=False)
    before = room.run(run).last_seq
    room.bring(claim, 2, go_on=False)

    assert room.run(run).last_seq == before
    assert room.node_output(run, "a") == 1


def test_a_result_for_a_run_that_a_person_has_retried_is_refused(room, calls):
    run = room.start(workflow({"a": probe("a", timeout=5)}))
    late = room.claim(run, "a")
    room.pass_time(7)
    assert room.status(run) == "failed"

    room.retry(run)
    room.bring(late, "late")

    assert room.statuses(run) == {"a": "queued"}
    assert room.until_ended(run).status == "completed"
    assert room.attempts(run, "a") == ["timeout", "completed"]


def test_a_loss_uses_no_attempt(room, calls):
    run = room.start(workflow({"a": probe("a", retry={"attempts": 2, "delay": 1})}))
    room.claim(run, "a")
    room.die()
    calls.fails("a", ValueError("no"))

    room.until_ended(run)

    node = room.node(run, "a")
    assert (node.status, node.attempt, node.lost_count) == ("completed", 2, 1)
    assert room.attempts(run, "a") == ["lost", "failed", "completed"]


def test_a_node_that_kills_its_worker_five_times_fails_as_poison(room, calls):
    run = room.start(ONE)

    for _ in range(5):
        room.claim(run, "a")
        room.die()

    assert (room.status(run), room.error(run)["code"]) == ("failed", "worker_lost")
    assert room.attempts(run, "a") == ["lost"] * 5
    assert room.claimable() == []


def test_a_poisoned_node_has_an_error_edge_like_any_other(room, calls):
    run = room.start(workflow({"a": probe("a"), "b": {}}, [{"from": "a", "to": "b", "on": "error"}]))

    for _ in range(5):
        room.claim(run, "a")
        room.die()

    assert room.until_ended(run).status == "completed"


def test_a_node_that_may_not_run_twice_is_not_run_again_after_a_loss(room, calls):
    run = room.start(workflow({"a": probe("a", idempotent=False, retry={"attempts": 5})}))
    room.claim(run, "a")

    room.die()

    assert (room.status(run), room.error(run)["code"]) == ("failed", "effect_unknown")
    assert room.attempts(run, "a") == ["lost"]
    assert room.node(run, "a").lost_count == 1


def test_a_worker_that_stops_hands_back_and_nothing_is_counted(room, calls):
    run = room.start(ONE)
    claim = room.claim(run, "a")

    def hand_back(transition):
        transition.read([claim.row.id])
        again.release(transition, transition.rows[claim.row.id])

    act_on_run(run, hand_back)

    node = room.node(run, "a")
    assert (node.status, node.attempt, node.lost_count) == ("queued", 0, 0)
    assert room.attempts(run, "a") == ["released"]


@pytest.mark.parametrize(
    "forged",
    ["01890000-0000-7000-8000-000000000000", "", "x", "'; drop table workflows_run; --", None, 7, [], "0" * 10_000],
)
def test_a_forged_hint_is_harmless(room, forged):
    tasks.work(forged)

    assert attempts.take(uuid4(), room.worker) is None


def test_a_hint_that_comes_again_is_harmless(room, calls):
    run = room.start(ONE)
    node = room.node(run, "a").pk
    first = attempts.take(node, room.worker)

    assert first is not None
    assert attempts.take(node, room.another_worker()) is None
    room.bring(first, 1)
    assert attempts.take(node, room.worker) is None
    assert room.attempts(run, "a") == ["completed"]


def test_a_hint_for_a_node_that_rests_comes_too_early(room, calls):
    calls.fails("a", ValueError("no"))
    run = room.start(workflow({"a": probe("a", retry={"attempts": 2, "delay": 60, "jitter": False})}))
    room.work()

    assert attempts.take(room.node(run, "a").pk, room.worker) is None
    assert room.statuses(run) == {"a": "retrying"}


def test_a_hint_for_an_item_whose_turn_has_not_come_comes_too_early(room, calls):
    run = room.start(workflow({"m": {"type": "map", "over": [1, 2], "node": probe("i"), "max_parallel": 1}}))
    room.begin(run, "m")

    assert attempts.take(room.node(run, "m", index=1).pk, room.worker) is None
    assert attempts.take(room.node(run, "m", index=0).pk, room.worker) is not None


@pytest.mark.parametrize("act", ["pause", "cancel"])
def test_a_hint_for_a_run_that_is_paused_or_over_claims_nothing(room, calls, act):
    run = room.start(ONE)
    getattr(room, act)(run)

    assert attempts.take(room.node(run, "a").pk, room.worker) is None


def test_of_many_who_take_one_node_one_gets_it(room, calls):
    run = room.start(ONE)
    node = room.node(run, "a").pk
    together = threading.Barrier(12)

    def take(_):
        together.wait()
        try:
            return attempts.take(node, room.another_worker())
        finally:
            release_connection()

    with ThreadPoolExecutor(12) as threads:
        claims = [claim for claim in threads.map(take, range(12)) if claim]

    assert len(claims) == 1
    assert room.node(run, "a").fence == 1


def test_a_node_is_started_once_per_visit_whatever_happens(room, calls):
    """R8: the unique key refuses a second activation of a visit."""
    run = room.start(workflow({"a": probe("a"), "b": probe("b")}, ["a b"]))
    room.bring(room.claim(run, "a"), 1, go_on=False)
    row = room.node(run, "b")

    with transaction() as tx:
        locked = progress.lock_run(tx, run)
        copy = progress.nodes(tx, [row.pk])[row.pk]
        copy.id = uuid4()
        writing.write(tx, locked, locked.marking, writing.Decided(made=[copy]))

    assert [one.pk for one in room.nodes(run, "b")] == [row.pk]


# ---- journal --------------------------------------------------------------------------------------


def test_a_recorded_step_is_not_taken_again_after_a_loss(room, calls):
    taken, dies = [], [False, True]

    def work(task, ctx):
        first = ctx.step("first", lambda: taken.append("first") or {"paid": 7})
        if dies.pop():  # after the step and before the end; another takes over and dies too
            room.die()
            room.claim(ctx.run_id, "a", worker=room.another_worker())
            room.die_all()
            raise RuntimeError
        second = ctx.step("second", lambda: taken.append("second") or "ok")
        return [first, second]

    calls["a"] = work

    run = room.finish(ONE).pk

    assert taken == ["first", "second"]
    assert room.output(run) == {"a": [{"paid": 7}, "ok"]}


def test_a_fenced_attempt_writes_nothing_to_the_journal(room, calls):
    def work(task, ctx):
        room.die()
        room.claim(ctx.run_id, "a", worker=room.another_worker())
        return ctx.step("late", lambda: "late")

    calls["a"] = work
    run = room.start(ONE)

    room.work(most=1)

    assert not JournalEntry.objects.exists()
    assert room.statuses(run) == {"a": "running"}


def test_steps_in_another_order_are_an_error_that_says_so(room, calls):
    names = ["one", "two"]
    calls["a"] = lambda task, ctx: (ctx.step(names.pop(0), lambda: 1), 1 / 0)
    run = room.finish(workflow({"a": probe("a", retry={"attempts": 2, "delay": 1})}))

    assert "'one'" in room.error(run.pk)["message"]
    assert "'two'" in room.error(run.pk)["message"]


def test_a_step_whose_result_is_no_json_fails_the_attempt(room, calls):
    calls["a"] = lambda task, ctx: ctx.step("s", object)

    assert room.finish(ONE).status == "failed"


def test_a_step_survives_an_answer_of_the_database_that_was_lost(room, calls, monkeypatch):
    real = journal.transaction
    failures = [1]

    class Broken:
        def __init__(self):
            self.inner = real()

        def __enter__(self):
            return self.inner.__enter__()

        def __exit__(self, *error):
            self.inner.__exit__(*error)
            if failures and failures.pop():
                raise psycopg.OperationalError("the commit landed, its answer did not")

    calls["a"] = lambda task, ctx: ctx.step("s", lambda: monkeypatch.setattr(journal, "transaction", Broken) or 5)

    run = room.finish(ONE)

    assert (run.status, room.output(run), failures) == ("completed", {"a": 5}, [])


# ---- history --------------------------------------------------------------------------------------


def test_the_numbers_of_events_have_no_gap_under_parallel_completions(room, calls):
    wide = {f"n{number}": probe("n") for number in range(24)}
    run = room.start(workflow({"s": {}, **wide, "e": {}}, [f"s {n}" for n in wide] + [f"{n} e" for n in wide]))

    _with_threads(room, run, 8)

    numbers = list(RunEvent.objects.filter(run=run).order_by("seq").values_list("seq", flat=True))
    assert numbers == list(range(1, room.run(run).last_seq + 1))
    assert (room.status(run), calls.calls["n"], room.visits(run)["e"]) == ("completed", 24, 1)


def test_fifty_results_of_one_map_that_come_at_once_are_accepted_once_each(room, calls):
    run = room.start(workflow({"m": {"type": "map", "over": list(range(50)), "node": probe("i"), "max_parallel": 50}}))
    room.begin(run, "m")
    claims = [room.claim(run, "m", index=index) for index in range(50)]
    together = threading.Barrier(50)

    def bring(claim):
        release_connection()
        together.wait()
        try:
            return room.bring(claim, f"out {claim.row.index}")
        finally:
            release_connection()

    with ThreadPoolExecutor(50) as threads:
        list(threads.map(bring, claims))

    assert (room.status(run), room.output(run)) == ("completed", {"m": [f"out {index}" for index in range(50)]})
    assert len(room.events(run, "node.completed")) == 51
    assert {room.attempts(run, "m", index=index)[0] for index in range(50)} == {"completed"}


def test_results_that_wait_together_are_committed_together(room, calls, monkeypatch):
    run = room.start(workflow({"m": {"type": "map", "over": list(range(20)), "node": probe("i"), "max_parallel": 20}}))
    room.begin(run, "m")
    claims = [room.claim(run, "m", index=index) for index in range(20)]
    commits, gate = [], threading.Event()
    real = settler.act_on_run

    def slow(*args, **kwargs):
        gate.wait(5)
        commits.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(settler, "act_on_run", slow)

    def bring(claim):
        try:
            room.bring(claim, 1)
        finally:
            release_connection()

    with ThreadPoolExecutor(20) as threads:
        for claim in claims:
            threads.submit(bring, claim)
        while sum(map(len, attempts._settler._waiting.values())) < 19:
            pass
        gate.set()

    assert (len(commits), room.status(run)) == (2, "completed")


def test_one_result_that_cannot_be_written_spoils_no_other(room, calls, monkeypatch):
    """A fault of ours in one result fails its node and not the run's other results, and wedges nothing."""
    run = room.start(workflow({"a": probe("a"), "b": probe("b", on_error="continue"), "c": {}}, ["a c", "b c"]))
    good, bad = room.claim(run, "a"), room.claim(run, "b")
    monkeypatch.setattr(
        "apps.workflows.services.transition.visit_end.route_of", lambda output: 1 / 0 if output == "bad" else None
    )

    room.expects_fault = True
    room.bring(good, "good", go_on=False)
    room.bring(bad, "bad", go_on=False)
    room.until_ended(run)

    assert room.statuses(run) == {"a": "completed", "b": "failed", "c": "completed"}
    assert room.node(run, "b").error["code"] == "internal_error"


def test_a_handler_runs_outside_any_transaction(room, calls):
    """D24: nothing slow happens while rows are locked."""
    seen = []

    def work(task, ctx):
        seen.append((connection.in_atomic_block, connection.connection))
        return ctx.call_tool("outbox.send", {"to": "a@example.com", "subject": "s", "body": "b"})

    calls["a"] = work

    assert room.finish(ONE).status == "completed"
    assert seen == [(False, None)]


def test_a_deciding_node_is_taken_and_not_claimed(room):
    run = room.start(workflow({"a": {}, "b": {}}, ["a b"]))

    room.work(most=1)

    assert room.status(run) == "completed"
    assert room.attempts(run, "a") == []


def test_recovery_does_nothing_twice(room, calls):
    run = room.start(ONE)
    room.claim(run, "a")
    room.die()
    before = room.run(run).last_seq

    assert recovery.take_back_lost() == 0
    assert recovery.fire_due() == 0

    assert room.run(run).last_seq == before


def test_higher_priorities_come_first(room, calls):
    low, high, middle = (room.start(workflow({"a": probe(name)}), priority=priority) for name, priority in
                         (("low", -5), ("high", 50), ("middle", 0)))  # fmt: skip

    room.work()

    assert [label for label, _ in calls.asked] == ["high", "middle", "low"]
    assert {room.status(run) for run in (low, high, middle)} == {"completed"}


def _with_threads(room, run, count):
    def slot(_):
        worker = room.another_worker()
        try:
            while room.status(run) not in ("completed", "failed"):
                room.work(worker=worker, most=3)
        finally:
            release_connection()

    with ThreadPoolExecutor(count) as slots:
        list(slots.map(slot, range(count)))


def test_a_claim_is_not_refused_on_a_memory_that_is_out_of_date(room, calls):
    """What a worker remembers of a run says that it holds the node still; the recovery has queued it since."""
    run = room.start(ONE)
    worker = room.worker
    claim = room.claim(run, "a")
    remembered = worker.memory.take(run)
    assert remembered is not None
    room.die(worker)
    worker.memory.keep(remembered)

    assert attempts.take(claim.row.id, worker) is not None


def test_two_threads_of_a_worker_that_ask_for_a_node_run_at_once_have_it_once(room):
    run = room.start(workflow({"a": probe("a")}))
    wishes = [News(run, room.node(run, "a").pk) for _ in range(2)]

    settler._bring(run, wishes, Leases())

    assert [wish.following.row.fence for wish in wishes if wish.following] == [1]
    assert room.attempts(run, "a") == ["running"]


def test_a_node_that_only_decides_is_decided_although_the_memory_is_from_before_it_began(room, calls):
    run = room.start(
        workflow(
            {"a": probe("a"), "wait": {"type": "wait", "seconds": 5}, "set": {"type": "set", "values": {"x": 1}}},
            ["wait set"],
        )
    )
    attempts.take(room.node(run, "wait").pk, room.another_worker())
    room.claim(run, "a")
    room.pass_time(6)
    recovery.fire_due()
    before = room.statuses(run)["set"]

    attempts.take(room.node(run, "set").pk, room.worker)

    assert (before, room.statuses(run)["set"]) == ("queued", "completed")
