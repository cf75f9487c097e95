"""D1. Workers, people and recovery act on a run in any order; what is promised holds after every act.

After every act the rows are compared with the marking alone, played in memory from the results that were accepted. The
quick profile makes 500 examples of up to 12 nodes; the long profile (CONTRIBUTING.md) makes 20,000 of up to 30.
"""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from unittest.mock import patch
from uuid import UUID, uuid4

import hypothesis
import pytest
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.common.database import release_connection
from apps.workflows.engine.marking import Completion, Start, advance, permitted
from apps.workflows.engine.states import NODE_ENDED, RUN_ENDED
from apps.workflows.nodes.base import Completed, Failed, NodeError
from apps.workflows.nodes.registry import served
from apps.workflows.services import attempts, recovery
from apps.workflows.services.attempts import Claim
from apps.workflows.services.leases import Leases
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import Row, look
from tests.workflows.engine_room import EngineRoom
from tests.workflows.random_runs import WAIT_SECONDS, RandomWorkflow

WORKERS = 3
MOST_DEATHS = 4  # the fifth would make a node poison
SKEWS = (-600.0, 600.0)
STEPS = 30
LONG = hypothesis.settings.get_current_profile_name() == "long"
EXAMPLES = hypothesis.settings.default.max_examples if LONG else 500
NODES = 30 if LONG else 12

# One statement for all: there is a look after every act, and half of the time went into looking.
_LOOK = """
select
    (select to_json(r) from (select status, last_seq from workflows_run where id = %(run)s) r) as run,
    array(select to_json(n) from (
        select id, node, visit, index, status, fence, completed_fence, worker
        from workflows_noderun where run_id = %(run)s) n) as nodes,
    array(select to_json(a) from (
        select a.node_run_id, a.fence, a.outcome
        from workflows_attempt a join workflows_noderun n on n.id = a.node_run_id where n.run_id = %(run)s) a) as tries,
    array(select to_json(e) from (
        select seq, type, node, visit, index, data::json ->> 'reason' as reason
        from workflows_runevent where run_id = %(run)s and seq > %(after)s order by seq) e) as events
"""

which = st.integers(0, 10**6)  # of a list whose length is not known beforehand


class RunMachine(RuleBasedStateMachine):
    """One run of a random workflow, and everything that can happen to it."""

    room: EngineRoom

    @initialize(
        size=st.integers(2, NODES),
        seed=st.integers(0, 2**32),
        loops=st.booleans(),
        mortal=st.booleans(),
    )
    def start(self, size: int, seed: int, loops: bool, mortal: bool) -> None:
        self.workflow = RandomWorkflow(size, seed, loops=loops)
        self.run = self.room.start(self.workflow.document)
        self.mortal = mortal  # whether it may be cancelled or fail
        self.workers = [Worker() for _ in range(WORKERS)]
        self.held: list[tuple[Worker, Claim]] = []
        self.brought: list[tuple[Worker, Claim]] = []
        self.deaths = 0
        self.history = History(self.workflow)
        self.rows: dict[UUID, Row] = {}

    # ---- workers ----------------------------------------------------------------------------------

    @rule(worker=which, node=which)
    def claim(self, worker: int, node: int) -> None:
        with look() as tx:
            waiting = questions.claimable(tx, served(), limit=20)
        if waiting:
            self._take(worker, waiting[node % len(waiting)])

    @precondition(lambda self: self.held)
    @rule(claim=which, go_on=st.booleans())
    def complete(self, claim: int, go_on: bool) -> None:
        worker, held = self.held.pop(claim % len(self.held))
        self._bring(worker, held, self.workflow.result(held), go_on=go_on)

    @precondition(lambda self: self.held)
    @rule(claim=which)
    def fail(self, claim: int) -> None:
        worker, held = self.held.pop(claim % len(self.held))
        self._bring(worker, held, Failed(NodeError("no_luck", "No luck.", retryable=True)))

    @precondition(lambda self: self.mortal and self.held and len(self.brought) > 4)
    @rule(claim=which)
    def fail_for_good(self, claim: int) -> None:
        worker, held = self.held.pop(claim % len(self.held))
        self._bring(worker, held, Failed(NodeError("hopeless", "Hopeless.")))

    @precondition(lambda self: self.brought)
    @rule(claim=which)
    def complete_twice(self, claim: int) -> None:
        worker, brought = self.brought[claim % len(self.brought)]
        self._bring(worker, brought, self.workflow.result(brought))

    @precondition(lambda self: len(self.held) > 1)
    @rule(claim=which)
    def complete_two_at_once(self, claim: int) -> None:
        both = [self.held.pop(claim % len(self.held)), self.held.pop(claim % len(self.held))]
        together = Barrier(2, timeout=10)

        def bring(held: tuple[Worker, Claim]) -> None:
            worker, claim = held
            try:
                together.wait()
                attempts.bring(claim, self.workflow.result(claim), worker.leases)
            finally:
                release_connection()

        for worker, _ in both:
            worker.leases.draining = True  # nothing further is claimed
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(bring, both))
        for worker, _ in both:
            worker.leases.draining = False
        self.brought += both

    @rule(worker=which)
    def beat(self, worker: int) -> None:
        leases = self.workers[worker % WORKERS].leases
        self.room.look_after(leases)
        for row in leases.held():
            now = self.rows[row.id]
            held = now["fence"] == row.fence and now["status"] in ("running", "queued")
            assert leases.is_wanted(row) <= held, now

    @precondition(lambda self: self.deaths < MOST_DEATHS)
    @rule(worker=which)
    def lose(self, worker: int) -> None:
        """A worker is taken for dead. What it holds stays here: it may be frozen, and come back late."""
        self.deaths += 1
        place = worker % WORKERS
        self.room.die(self.workers[place].leases)
        self.workers[place] = Worker()

    # ---- hints, recovery, time --------------------------------------------------------------------

    @rule(worker=which, node=which)
    def doubled_hint(self, worker: int, node: int) -> None:
        self._take(worker, sorted(self.rows)[node % len(self.rows)] if self.rows else uuid4())

    @rule(worker=which)
    def forged_hint(self, worker: int) -> None:
        assert attempts.take(uuid4(), self.workers[worker % WORKERS].leases) is None

    @rule(worker=which, seconds=st.sampled_from(SKEWS))
    def clock_jump(self, worker: int, seconds: float) -> None:
        """From here on the worker's own clock is wrong."""
        self.workers[worker % WORKERS].skew = seconds

    @rule()
    def recover(self) -> None:
        for find in (recovery.take_back_lost, recovery.end_overdue, recovery.fire_due, recovery.hear_children):
            find()
        recovery.hint_again()

    @rule()
    def time_passes(self) -> None:
        self.room.pass_time(WAIT_SECONDS)

    # ---- people -----------------------------------------------------------------------------------

    @precondition(lambda self: self.status in ("pending", "running", "waiting"))
    @rule()
    def pause(self) -> None:
        self.room.pause(self.run)

    @precondition(lambda self: self.status == "paused")
    @rule()
    def resume(self) -> None:
        self.room.resume(self.run)

    @precondition(lambda self: self.mortal and self.status not in RUN_ENDED and len(self.brought) > 4)
    @rule()
    def cancel(self) -> None:
        self.room.cancel(self.run)

    # ---- what holds after every act ---------------------------------------------------------------

    @property
    def status(self) -> str:
        return self.history.status

    @invariant()
    def what_is_promised_holds(self) -> None:
        with look() as tx:
            (seen,) = tx.rows(_LOOK, run=self.run, after=self.history.last_seq)
        run, nodes, tries = seen["run"], _with_ids(seen["nodes"]), _with_ids(seen["tries"])
        self.history.go_on(run, seen["events"])
        check_ends(run, nodes)
        check_attempts(nodes, tries)
        check_fences(self.rows, nodes)
        self.rows = {row["id"]: row for row in nodes}

    def teardown(self) -> None:
        """Left in peace, the run does exactly what its graph says."""
        if not hasattr(self, "rows"):
            return
        for worker in {id(worker): worker for worker, _ in self.held}.values():
            self.room.die(worker.leases)
        if self.status == "paused":
            self.room.resume(self.run)
        self._finish()
        self.what_is_promised_holds()
        if self.status == "completed":
            visits = Counter(row["node"] for row in self.rows.values() if row["index"] < 0)
            assert visits == self.workflow.expected
            work = [name for name, kind in self.workflow.kinds.items() if kind == "work"]
            traces = Counter(trace.rpartition("-")[0] for trace in self.room.context(self.run)["trace"])
            assert traces == {name: visits[name] for name in work if visits[name]}

    def _finish(self) -> None:
        leases = Leases()
        for _ in range(5_000):
            with look() as tx:
                waiting = questions.claimable(tx, served(), limit=1)
            if not waiting:
                if self.room.status(self.run) in RUN_ENDED:
                    return
                self.room.pass_time(WAIT_SECONDS)
                continue
            claim = attempts.take(waiting[0], leases, run=self.run)
            while claim is not None:
                claim = attempts.bring(claim, self.workflow.result(claim), leases)
        raise AssertionError(self.room.statuses(self.run))

    # ---- acts -------------------------------------------------------------------------------------

    def _take(self, worker: int, node: UUID) -> None:
        by = self.workers[worker % WORKERS]
        with by.clock():
            claim = attempts.take(node, by.leases)
        if claim is not None:
            self.held.append((by, claim))

    def _bring(self, worker: "Worker", claim: Claim, outcome: Completed | Failed, *, go_on: bool = False) -> None:
        """Brings a result; one whose claim is not the last, or that comes again, must change nothing."""
        self.brought.append((worker, claim))
        before = self.history.last_seq
        row = self.rows[claim.row.id]
        mine = row["fence"] == claim.row.fence and row["worker"] == claim.row.worker
        may = mine and row["status"] in ("running", "queued")
        with worker.clock():
            following = self.room.bring(claim, outcome, worker=worker.leases, go_on=go_on)
        if following is not None:
            self.held.append((worker, following))
        if not may:
            assert (self.room.run(self.run).last_seq, following) == (before, None)


class Worker:
    """A process with a clock of its own."""

    def __init__(self) -> None:
        self.leases, self.skew = Leases(), 0.0

    @contextmanager
    def clock(self) -> Iterator[None]:
        """What the worker does inside, it does at the time that it thinks it is."""
        if not self.skew:
            yield
            return
        read, read_ns, now = time.time, time.time_ns, timezone.now
        wrong = timedelta(seconds=self.skew)
        with (
            patch("time.time", lambda: read() + self.skew),
            patch("time.time_ns", lambda: read_ns() + int(self.skew * 10**9)),
            patch("django.utils.timezone.now", lambda: now() + wrong),
        ):
            yield


class History:
    """The events of a run so far, checked one by one against the marking alone."""

    def __init__(self, workflow: RandomWorkflow) -> None:
        self.workflow = workflow
        self.status, self.last_seq = "pending", 0
        self.marking, starts = workflow.beginning()
        self.due = Counter(map(_visit, starts))  # visits that have to be queued, and are not yet
        self.active: set[str] = set()
        self.completed: Counter[tuple[str, int, int | None]] = Counter()
        self.items: Counter[tuple[str, int]] = Counter()

    def go_on(self, run: Row, events: list[Row]) -> None:
        """Takes in what has happened since the last look."""
        assert [event["seq"] for event in events] == list(range(self.last_seq + 1, run["last_seq"] + 1))
        for event in events:
            if event["type"] == "node.queued" and event["reason"] is None:
                self._queued(event)
            elif event["type"] == "node.completed":
                self._completed(event)
        self.status, self.last_seq = run["status"], run["last_seq"]
        if self.status not in ("failed", "cancelled"):
            assert not +self.due, "a node that has to start was not started"

    def _queued(self, event: Row) -> None:
        visit = (event["node"], event["visit"])
        assert self.due[visit] == 1, (visit, "starts though the marking does not say so, or again")
        self.due[visit] -= 1
        self.active.add(event["node"])
        if not self.workflow.graph.closing:  # without loops a join may only start when nothing before it is under way
            before = [name for name in self.active if event["node"] in self.workflow.descendants(name)]
            assert before == [], (visit, "starts before its parents have ended")

    def _completed(self, event: Row) -> None:
        name, visit, index = event["node"], event["visit"], event["index"]
        self.completed[name, visit, index] += 1
        assert self.completed[name, visit, index] == 1, (name, visit, index, "is completed twice")
        if index is not None:
            self.items[name, visit] += 1
            return
        assert self.items[name, visit] == self.workflow.items.get(name, 0), (name, "goes on without all of its items")
        self.active.discard(name)
        graph = self.workflow.graph
        taken = permitted(graph, self.marking, self.workflow.decide(name, visit))
        self.marking, starts = advance(graph, self.marking, Completion(name, taken))
        self.due.update(map(_visit, starts))


def _with_ids(rows: list[Row]) -> list[Row]:
    ids = ("id", "node_run_id", "worker")
    return [{name: UUID(value) if name in ids and value else value for name, value in row.items()} for row in rows]


def _visit(start: Start) -> tuple[str, int]:
    return start.node, start.visit


def check_ends(run: Row, nodes: list[Row]) -> None:
    """A run has ended exactly when nothing of it is open."""
    open_nodes = [row["node"] for row in nodes if row["status"] not in NODE_ENDED]
    assert (run["status"] in RUN_ENDED) == (not open_nodes), (run["status"], open_nodes)


def check_attempts(nodes: list[Row], tries: list[Row]) -> None:
    """What runs has one open attempt, under its fence; what has completed has one that was accepted."""
    assert len({(one["node_run_id"], one["fence"]) for one in tries}) == len(tries)
    running = {(row["id"], row["fence"]) for row in nodes if row["status"] == "running"}
    assert {(one["node_run_id"], one["fence"]) for one in tries if not one["outcome"]} == running
    accepted = [(one["node_run_id"], one["fence"]) for one in tries if one["outcome"] == "completed"]
    worked = {(row["id"], row["completed_fence"]) for row in nodes if row["status"] == "completed" and row["worker"]}
    assert sorted(accepted) == sorted(worked)


def check_fences(before: dict[UUID, Row], nodes: list[Row]) -> None:
    """Fences only grow, no row disappears, and what has ended stays as it was."""
    now = {row["id"]: row for row in nodes}
    for identifier, row in before.items():
        assert now[identifier]["fence"] >= row["fence"]
        if row["status"] in NODE_ENDED:
            assert now[identifier] == row


@pytest.mark.timeout(900)  # many runs, one after the other
def test_whatever_happens_in_whatever_order_what_is_promised_holds(room: EngineRoom) -> None:
    machine = type("Machine", (RunMachine,), {"room": room})
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
