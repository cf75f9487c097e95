"""A definition compiled for running: nodes and edges by position, cycles, and who can still reach whom."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Literal

NodeName = str
EdgeNumber = int


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An edge between two nodes, by their positions; `number` is its place in written order."""

    number: EdgeNumber
    source: int
    target: int
    when: str | None = None
    route: str | None = None
    on: Literal["success", "error", "always"] = "success"
    max: int | None = None


@dataclass(eq=False)
class Graph:
    """Nodes in written order and the edges between them; immutable once built.

    Everything else here is worked out from the two when it is first asked for, and kept: one
    Graph serves every run of a version in a process.
    """

    nodes: Sequence[NodeName]
    edges: Sequence[GraphEdge]
    join_first: frozenset[int] = frozenset()  # nodes that start on the first token
    loop_bound: int = 100  # how often an edge that closes a cycle may be taken when it has no `max`
    _blockers: dict[EdgeNumber, int] = field(default_factory=dict, repr=False)

    @cached_property
    def position(self) -> Mapping[NodeName, int]:
        """Where each node stands in written order."""
        return {name: place for place, name in enumerate(self.nodes)}

    @cached_property
    def incoming(self) -> Sequence[Sequence[GraphEdge]]:
        """For each node the edges that lead to it, in written order."""
        return self._by_end("target")

    @cached_property
    def outgoing(self) -> Sequence[Sequence[GraphEdge]]:
        """For each node the edges that lead on, in written order."""
        return self._by_end("source")

    @cached_property
    def entries(self) -> Sequence[int]:
        """Where a run starts: the nodes without an incoming edge; if there is none, the first node written."""
        return [place for place, edges in enumerate(self.incoming) if not edges] or [0]

    @cached_property
    def ends(self) -> Sequence[int]:
        """Nodes that lead nowhere."""
        return [place for place, edges in enumerate(self.outgoing) if not edges]

    @cached_property
    def unreachable(self) -> Sequence[int]:
        """Nodes that no entry reaches, in written order."""
        return [place for place in range(len(self.nodes)) if place not in self.reverse_postorder]

    @cached_property
    def reverse_postorder(self) -> Mapping[int, int]:
        """The rank of each reachable node, depth first from the entries, edges in written order."""
        return {place: rank for rank, place in enumerate(reversed(self._from_entries.postorder))}

    @cached_property
    def closing(self) -> frozenset[EdgeNumber]:
        """Edges that close a cycle: those that lead back to a node the search is still inside of."""
        return self._from_entries.back

    @cached_property
    def component(self) -> Sequence[int]:
        """For each node the number of its strongly connected component, in topological order, ties as written."""
        return _ordered_components(self)

    @cached_property
    def cyclic(self) -> frozenset[int]:
        """Nodes that stand on a cycle."""
        sizes: dict[int, int] = {}
        for number in self.component:
            sizes[number] = sizes.get(number, 0) + 1
        loops = {edge.source for edge in self.edges if edge.source == edge.target}
        return frozenset(place for place, number in enumerate(self.component) if sizes[number] > 1 or place in loops)

    @cached_property
    def repeatable(self) -> frozenset[int]:
        """Nodes that a run may start more than once: those on a cycle and all that they lead to."""
        return frozenset(_reach(self.cyclic, lambda place: (edge.target for edge in self.outgoing[place])))

    @cached_property
    def reached_by(self) -> Sequence[int]:
        """For each node the set (as bits) of the nodes that can reach it, itself included."""
        masks = [1 << place for place in range(len(self.nodes))]
        members: dict[int, list[int]] = {}
        for place, number in enumerate(self.component):
            members.setdefault(number, []).append(place)
        for number in sorted(members):
            mask = 0
            for place in members[number]:
                mask |= masks[place]
                for edge in self.incoming[place]:
                    mask |= masks[edge.source]
            for place in members[number]:
                masks[place] = mask
        return masks

    def blockers(self, edge: GraphEdge) -> int:
        """The nodes (as bits) that could still put a token on `edge`.

        They are its source and all that reach the source without passing the edge's target.
        """
        if (known := self._blockers.get(edge.number)) is not None:
            return known
        target = edge.target
        if edge.source == target:
            mask = 0
        elif target not in self.cyclic:
            mask = self.reached_by[edge.source]
        else:
            found = _reach([edge.source], lambda place: (e.source for e in self.incoming[place] if e.source != target))
            mask = self.bits(found)
        self._blockers[edge.number] = mask
        return mask

    def bits(self, places: Iterable[int]) -> int:
        """A set of nodes as the bits of one number."""
        flags = bytearray(len(self.nodes) // 8 + 1)
        for place in places:
            flags[place >> 3] |= 1 << (place & 7)
        return int.from_bytes(flags, "little")

    def may_precede(self, earlier: int, later: int) -> bool:
        """Whether the first node can reach the second."""
        return bool(self.reached_by[later] >> earlier & 1)

    def _by_end(self, end: Literal["source", "target"]) -> Sequence[Sequence[GraphEdge]]:
        table: list[list[GraphEdge]] = [[] for _ in self.nodes]
        for edge in self.edges:
            table[edge.source if end == "source" else edge.target].append(edge)
        return table

    @cached_property
    def _from_entries(self) -> "_Search":
        return _search(self, self.entries)


@dataclass(frozen=True, slots=True)
class _Search:
    postorder: Sequence[int]
    back: frozenset[EdgeNumber]  # edges to a node whose search is not finished


def _search(graph: Graph, roots: Iterable[int]) -> _Search:
    """Depth first, edges in written order, with a stack of its own: a chain of thousands of nodes is no recursion."""
    postorder: list[int] = []
    back: set[EdgeNumber] = set()
    inside: set[int] = set()
    seen: set[int] = set()
    for root in roots:
        stack: list[tuple[int, Iterator[GraphEdge]]] = []
        following: int | None = root if root not in seen else None
        while stack or following is not None:
            if following is not None:
                seen.add(following)
                inside.add(following)
                stack.append((following, iter(graph.outgoing[following])))
            place, edges = stack[-1]
            following = None
            for edge in edges:
                if edge.target in inside:
                    back.add(edge.number)
                elif edge.target not in seen:
                    following = edge.target
                    break
            else:
                stack.pop()
                inside.discard(place)
                postorder.append(place)
    return _Search(postorder, frozenset(back))


def _reach(starts: Iterable[int], following: Callable[[int], Iterable[int]]) -> set[int]:
    found = set(starts)
    waiting = list(found)
    while waiting:
        for place in following(waiting.pop()):
            if place not in found:
                found.add(place)
                waiting.append(place)
    return found


def _ordered_components(graph: Graph) -> list[int]:
    """Component numbers such that every edge between two components leads from the smaller to the greater.

    Among the components that could come next, the one written first comes first (Kahn's algorithm on
    the condensation), so that the order of nodes in the document decides where the graph does not.
    """
    groups = _components(graph)
    first = [min(group) for group in groups]
    group_of = {place: number for number, group in enumerate(groups) for place in group}
    waits_for = [0] * len(groups)
    for edge in graph.edges:
        if group_of[edge.source] != group_of[edge.target]:
            waits_for[group_of[edge.target]] += 1
    ready = [(first[number], number) for number in range(len(groups)) if not waits_for[number]]
    heapify(ready)
    order: dict[int, int] = {}
    while ready:
        _, number = heappop(ready)
        order[number] = len(order)
        for place in groups[number]:
            for edge in graph.outgoing[place]:
                target = group_of[edge.target]
                if target != number:
                    waits_for[target] -= 1
                    if not waits_for[target]:
                        heappush(ready, (first[target], target))
    return [order[group_of[place]] for place in range(len(graph.nodes))]


def _components(graph: Graph) -> list[list[int]]:
    """Strongly connected components (Kosaraju): backwards from the nodes that a full search leaves last."""
    groups: list[list[int]] = []
    placed: set[int] = set()

    def unplaced_sources(place: int) -> Iterable[int]:
        return (edge.source for edge in graph.incoming[place] if edge.source not in placed)

    for root in reversed(_search(graph, range(len(graph.nodes))).postorder):
        if root not in placed:
            group = _reach([root], unplaced_sources)
            placed |= group
            groups.append(sorted(group))
    return groups
