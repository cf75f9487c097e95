"""The marking on random graphs: against an independent reference, and under random orders of completion."""

import json
from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.workflows.engine.graph import Graph, GraphEdge
from apps.workflows.engine.marking import Completion, Marking, Start, advance, begin, dead_nodes, permitted

many = settings(max_examples=2_000, deadline=None)
often = settings(max_examples=700, deadline=None)

Decide = Callable[[str, int], Sequence[int]]
ENOUGH_TURNS = 5  # after so many visits no edge that closes a cycle is taken any more

# Graphs are made from a seed, not drawn part by part: that is ten times as fast, and the size shrinks all the same.
sizes = st.integers(2, 9)
seeds = st.integers(0, 2**32)


def acyclic_graph(size: int, seed: int) -> tuple[Graph, list[bool]]:
    """A graph without cycles, and for each edge whether it is taken."""
    random = Random(seed)
    order = random.sample(range(size), size)  # the order in which nodes are written is not the one in which they run
    ends = [sorted(random.sample(range(size), 2)) for _ in range(random.randint(1, 2 * size))]
    edges = [GraphEdge(number, order[a], order[b]) for number, (a, b) in enumerate(ends)]
    likely = random.choice([0.5, 0.8, 1.0])
    return Graph([f"n{place}" for place in range(size)], edges), [random.random() < likely for _ in edges]


def cyclic_graph(size: int, seed: int) -> Graph:
    """A graph that its entries reach, mostly with cycles; some edges have a bound."""
    random = Random(seed)
    while True:
        ends = [(random.randrange(size), random.randrange(size)) for _ in range(random.randint(size - 1, 2 * size + 2))]
        forwards = [sorted(pair) if random.random() < 0.5 else pair for pair in ends]
        bounds = [random.choice([None, None, None, 1, 2, 3]) for _ in ends]
        edges = [GraphEdge(number, a, b, max=bounds[number]) for number, (a, b) in enumerate(forwards)]
        graph = Graph([f"n{place}" for place in range(size)], edges, loop_bound=10**9)
        if not graph.unreachable:
            return graph


def deciding(graph: Graph, seed: int) -> Decide:
    """Which edges each visit takes, always the same for one seed, and such that every run ends."""

    def decide(name: str, visit: int) -> list[int]:
        random = Random(f"{seed}/{name}/{visit}")
        likely = 0.75 if visit < ENOUGH_TURNS else 0.25
        edges = [(edge.number, random.random() < likely) for edge in graph.outgoing[graph.position[name]]]
        return [number for number, wanted in edges if wanted and (visit < ENOUGH_TURNS or number not in graph.closing)]

    return decide


def run(graph: Graph, decide: Decide, order: Random, each: Callable[[Marking], None] = lambda _: None) -> list[Start]:
    """Every start of a whole run in which `order` says which active node completes next."""
    marking, active = begin(graph)
    started = list(active)
    while active:
        each(marking)
        start = active.pop(order.randrange(len(active)))
        taken = permitted(graph, marking, decide(start.node, start.visit))
        marking, starts = advance(graph, marking, Completion(start.node, taken))
        active += starts
        started += starts
    assert marking.is_over
    return started


class DeadPaths:
    """Dead-path elimination as the textbooks have it: every edge ends up taken or dead, in waves."""

    def __init__(self, graph: Graph, taken: Sequence[bool]) -> None:
        self.graph = graph
        self.taken = taken
        self.settled: dict[int, bool] = {}  # edges: taken, or dead
        self.begun = {place for place in range(len(graph.nodes)) if not graph.incoming[place]}

    def complete(self, place: int) -> set[int]:
        """The nodes that start when one completes."""
        for edge in self.graph.outgoing[place]:
            self.settled[edge.number] = self.taken[edge.number]
        self.spread_death()
        starting = {place for place in range(len(self.graph.nodes)) if place not in self.begun and self.is_due(place)}
        self.begun |= starting
        return starting

    def spread_death(self) -> None:
        for _ in self.graph.nodes:
            for edges, following in zip(self.graph.incoming, self.graph.outgoing, strict=True):
                if edges and all(self.settled.get(edge.number) is False for edge in edges):
                    self.settled.update({edge.number: False for edge in following})

    def is_due(self, place: int) -> bool:
        found = [self.settled.get(edge.number) for edge in self.graph.incoming[place]]
        return None not in found and True in found


@many
@given(sizes, seeds)
def test_without_cycles_a_node_starts_when_dead_path_elimination_starts_it(size: int, seed: int) -> None:
    graph, taken = acyclic_graph(size, seed)
    reference = DeadPaths(graph, taken)
    order = Random(seed)
    marking, active = begin(graph)
    assert {graph.position[start.node] for start in active} == reference.begun

    while active:
        start = active.pop(order.randrange(len(active)))
        place = graph.position[start.node]
        chosen = [edge.number for edge in graph.outgoing[place] if taken[edge.number]]
        marking, starts = advance(graph, marking, Completion(start.node, chosen))
        active += starts

        assert {graph.position[start.node] for start in starts} == reference.complete(place)

    assert marking.is_over


@many
@given(sizes, seeds)
def test_visits_and_depths_do_not_depend_on_the_order_of_completions(size: int, seed: int) -> None:
    graph = cyclic_graph(size, seed)
    decide = deciding(graph, seed)

    runs = [sorted(run(graph, decide, Random(order)), key=str) for order in range(4)]

    assert all(other == runs[0] for other in runs[1:])


@often
@given(sizes, seeds)
def test_a_node_is_never_active_twice_and_its_visits_are_counted_without_gaps(size: int, seed: int) -> None:
    graph = cyclic_graph(size, seed)
    visits: dict[str, list[int]] = {}

    for start in run(graph, deciding(graph, seed), Random(seed)):
        visits.setdefault(start.node, []).append(start.visit)

    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in visits.values())


@often
@given(sizes, seeds)
def test_a_stored_marking_reads_back_the_same_at_every_step(size: int, seed: int) -> None:
    graph = cyclic_graph(size, seed)

    def reads_back(marking: Marking) -> None:
        assert Marking.from_json(json.loads(json.dumps(marking.as_json()))) == marking

    run(graph, deciding(graph, seed), Random(seed), each=reads_back)


@often
@given(sizes, seeds)
def test_a_node_that_counts_as_dead_never_starts_again(size: int, seed: int) -> None:
    graph = cyclic_graph(size, seed)
    decide = deciding(graph, seed)
    order = Random(seed)
    dead: frozenset[str] = frozenset()
    marking, active = begin(graph)

    while active:
        start = active.pop(order.randrange(len(active)))
        taken = permitted(graph, marking, decide(start.node, start.visit))
        marking, starts = advance(graph, marking, Completion(start.node, taken))
        active += starts

        assert not dead & {start.node for start in starts}
        dead = dead_nodes(graph, marking)
    assert dead == set(graph.nodes)
