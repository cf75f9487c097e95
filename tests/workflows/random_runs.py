"""Random workflows of every kind of node, and what the marking alone says a run of one has to do."""

from collections import Counter
from functools import cached_property
from random import Random
from typing import Any

from apps.workflows.engine.graph import GraphEdge
from apps.workflows.engine.marking import Marking, Start, begin
from apps.workflows.nodes.base import Completed
from apps.workflows.services.attempts import Claim
from tests.engine.test_marking_properties import acyclic_graph, cyclic_graph, deciding
from tests.engine.test_marking_properties import run as played
from tests.workflows.probes import probe

WAIT_SECONDS = 5
PATIENT = {"attempts": 100, "delay": 0, "jitter": False}  # a failure costs an attempt, never the run


class RandomWorkflow:
    """A graph with branches, joins, mostly loops, maps, waits and nodes that only decide; the same for one seed."""

    def __init__(self, size: int, seed: int, *, loops: bool) -> None:
        if loops:
            self.graph = cyclic_graph(size, seed)
            self._decide = deciding(self.graph, seed)
        else:
            self.graph, taken = acyclic_graph(size, seed)
            self._decide = lambda name, visit: [edge.number for edge in self._after(name) if taken[edge.number]]
        random = Random(f"{seed} kinds")
        self.kinds = {name: self._kind(name, random) for name in self.graph.nodes}
        self.items = {name: random.randint(0, 4) for name, kind in self.kinds.items() if kind == "map"}

    def _kind(self, name: str, random: Random) -> str:
        if any(edge.number in self.graph.closing for edge in self._after(name)):
            return "work"  # only what decides can end a loop
        return random.choices(["work", "set", "map", "wait"], [7, 2, 2, 1])[0]

    def _after(self, name: str) -> list[GraphEdge]:
        return self.graph.outgoing[self.graph.position[name]]

    def decide(self, name: str, visit: int) -> list[int]:
        """The edges that a visit asks for."""
        if self.kinds[name] != "work":
            return [edge.number for edge in self._after(name)]
        return list(self._decide(name, visit))

    def result(self, claim: Claim) -> Completed:
        """What the body of a claimed node run gives."""
        row = claim.row
        if row.is_item:
            return Completed(row.index)
        return Completed({"trace": f"{row.node}-{row.visit}", "take": self.decide(row.node, row.visit)})

    @cached_property
    def document(self) -> dict[str, Any]:
        """The workflow as a person would write it."""
        nodes = {name: self._node(name) for name in self.graph.nodes}
        edges = [self._edge(edge) for edge in self.graph.edges]
        context = {"trace": {"reducer": "append", "initial": []}}
        return {"name": "random", "context": context, "nodes": nodes, "edges": edges}

    def _node(self, name: str) -> dict[str, Any]:
        work = probe("n", retry=PATIENT)
        return {
            "work": work | {"save": {"trace": "{{ output.trace }}"}},
            "set": {"type": "set", "values": {}},
            "wait": {"type": "wait", "seconds": WAIT_SECONDS},
            "map": {"type": "map", "over": list(range(self.items.get(name, 0))), "node": work, "max_parallel": 2},
        }[self.kinds[name]]

    def _edge(self, edge: GraphEdge) -> dict[str, Any]:
        source, target = self.graph.nodes[edge.source], self.graph.nodes[edge.target]
        asks = {"when": f"{edge.number} in output.take"} if self.kinds[source] == "work" else {}
        return {"from": source, "to": target} | asks | ({"max": edge.max} if edge.max else {})

    @cached_property
    def expected(self) -> "Counter[str]":
        """How often each node is visited, whatever the order of things."""
        return Counter(start.node for start in played(self.graph, self.decide, Random(0)))

    def beginning(self) -> tuple[Marking, list[Start]]:
        """The marking of a new run."""
        return begin(self.graph)

    def descendants(self, name: str) -> set[str]:
        """What a node without a cycle behind it leads to."""
        found: set[str] = set()
        ahead = [name]
        while ahead:
            following = {self.graph.nodes[edge.target] for edge in self._after(ahead.pop())} - found
            found |= following
            ahead += following
        return found
