"""Random graphs under random faults: whatever dies, comes late, comes twice or is forged, a run does the same.

The visits are those of the marking alone, played in memory; every visit is accepted once; the context does not depend
on the order in which anything happened.
"""

from collections import Counter
from random import Random
from uuid import uuid4

import pytest

from apps.workflows.nodes.registry import served
from apps.workflows.services import attempts, recovery
from apps.workflows.store import recovery as questions
from apps.workflows.store.database import transaction
from tests.engine.test_marking_properties import cyclic_graph, deciding
from tests.engine.test_marking_properties import run as played
from tests.workflows.engine_room import ENDED
from tests.workflows.probes import probe

SEEDS = 12
MOST_DEATHS = 4  # the fifth would make a node poison


def document(graph):
    """The graph as a workflow whose nodes say which edges they take, and leave a trace."""
    node = probe("n", save={"trace": "{{ output.trace }}"})
    edges = [
        {"from": graph.nodes[edge.source], "to": graph.nodes[edge.target], "when": f"{edge.number} in output.take"}
        | ({"max": edge.max} if edge.max else {})
        for edge in graph.edges
    ]
    reducers = {"trace": {"reducer": "append", "initial": []}}
    return {"name": "chaos", "context": reducers, "nodes": dict.fromkeys(graph.nodes, node), "edges": edges}


class Chaos:
    """Several workers on one run, and everything that can go wrong between them."""

    def __init__(self, room, run, seed):
        self.room, self.run, self.random = room, run, Random(seed)
        self.workers = [room.another_worker() for _ in range(3)]
        self.held, self.brought = [], []  # (worker, claim): not executed yet, and those whose result was brought
        self.deaths = 0

    def rage(self):
        acts = [self.claim] * 6 + [self.finish] * 5 + [self.die, self.twice, self.forge, self.pause, self.recover]
        for _ in range(2_000):
            self.random.choice(acts)()
            if self.room.status(self.run) in ENDED:
                return
        raise AssertionError(self.room.statuses(self.run))

    def claim(self):
        with transaction() as tx:
            waiting = questions.claimable(tx, served(), limit=10)
        if waiting:
            self._take(self.random.choice(waiting))

    def finish(self):
        if self.held:
            worker, claim = self.held.pop(self.random.randrange(len(self.held)))
            self._bring(worker, claim)

    def die(self):
        """A worker is taken for dead; it may be slow only, and bring its results all the same."""
        if self.deaths < MOST_DEATHS:
            self.deaths += 1
            place = self.random.randrange(len(self.workers))
            self.room.die(self.workers[place])
            self.workers[place] = self.room.another_worker()

    def twice(self):
        if self.brought:
            self._bring(*self.random.choice(self.brought))

    def forge(self):
        self._take(uuid4())
        self._take(self.random.choice(self.room.nodes(self.run)).pk)

    def pause(self):
        if self.room.status(self.run) in ("running", "pending"):
            self.room.pause(self.run)
            self.finish()
        if self.room.status(self.run) == "paused":
            self.room.resume(self.run)

    def recover(self):
        recovery.take_back_lost()
        recovery.fire_due()
        recovery.hint_again()

    def _take(self, node):
        worker = self.random.choice(self.workers)
        claim = attempts.take(node, worker)
        if claim is not None:
            self.held.append((worker, claim))

    def _bring(self, worker, claim):
        self.brought.append((worker, claim))
        outcome = self.room.execute(claim, worker=worker)
        following = self.room.bring(claim, outcome, worker=worker, go_on=self.random.random() < 0.7)
        if following is not None:
            self.held.append((worker, following))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_run_does_the_same_whatever_happens(room, calls, seed):
    graph = cyclic_graph(3 + seed % 6, seed)
    decide = deciding(graph, seed)
    calls["n"] = lambda task, ctx: {"trace": f"{ctx.node}-{ctx.visit}", "take": decide(ctx.node, ctx.visit)}
    expected = Counter(start.node for start in played(graph, decide, Random(seed)))

    traces = []
    for order in range(2):
        run = room.start(document(graph))
        Chaos(room, run, 1_000 * seed + order).rage()

        ended = room.run(run)
        visits = Counter(row.node for row in room.nodes(run))
        completed = Counter((event.node, event.visit) for event in room.events(run, "node.completed"))
        assert (ended.status, visits) == ("completed", expected)
        assert set(completed.values()) == {1}
        assert [event.seq for event in room.events(run)] == list(range(1, ended.last_seq + 1))
        assert all(room.attempts_of(row).count("completed") == 1 for row in room.nodes(run))
        traces.append(room.context(run)["trace"])

    assert traces[0] == traces[1]
    assert len(traces[0]) == sum(expected.values())
