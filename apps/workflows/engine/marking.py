"""A run's progress: which edges hold tokens and which nodes are active, and the one rule that changes it.

The rules are numbered in docs/format.md ("When a node starts"). Everything here is a pure function
of its arguments: no clock, no database, no randomness, so that for any order in which parallel nodes
complete the same nodes run, equally often.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.workflows.engine.errors import LoopLimitError
from apps.workflows.engine.graph import EdgeNumber, Graph, GraphEdge, NodeName


@dataclass(frozen=True, slots=True)
class Active:
    """A node that is queued, running or waiting: its visit (1 the first time) and its depth.

    The depth is a logical time (Lamport 1978): greater than that of every visit that led here. It
    orders writes to the context without looking at a clock.
    """

    visit: int
    depth: int


@dataclass(frozen=True, slots=True)
class Start:
    """A node that starts now."""

    node: NodeName
    visit: int
    depth: int


@dataclass(frozen=True, slots=True)
class Completion:
    """A node that has ended, and the edges that its result takes."""

    node: NodeName
    taken: Sequence[EdgeNumber] = ()


@dataclass(frozen=True, slots=True)
class Marking:
    """Which edges hold tokens and which nodes are active. Never changed: `advance` makes a new one."""

    tokens: Mapping[EdgeNumber, tuple[int, ...]] = field(
        default_factory=dict
    )  # the depths of an edge's tokens, oldest first
    active: Mapping[NodeName, Active] = field(default_factory=dict)
    visits: Mapping[NodeName, int] = field(default_factory=dict)  # of the nodes that may run more than once
    takes: Mapping[EdgeNumber, int] = field(default_factory=dict)  # of the edges that have a bound
    absorb: Mapping[EdgeNumber, int] = field(
        default_factory=dict
    )  # tokens to come that a `join: first` has already had

    @property
    def is_over(self) -> bool:
        """Whether nothing is active and no token remains (rule 7)."""
        return not self.active and not self.tokens

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {
            "tokens": {str(edge): list(depths) for edge, depths in self.tokens.items()},
            "active": {node: [active.visit, active.depth] for node, active in self.active.items()},
            "visits": dict(self.visits),
            "takes": {str(edge): count for edge, count in self.takes.items()},
            "absorb": {str(edge): count for edge, count in self.absorb.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Marking":
        """The marking that `as_json` wrote."""
        return cls(
            tokens={int(edge): tuple(depths) for edge, depths in stored["tokens"].items()},
            active={node: Active(*pair) for node, pair in stored["active"].items()},
            visits=stored["visits"],
            takes={int(edge): count for edge, count in stored["takes"].items()},
            absorb={int(edge): count for edge, count in stored["absorb"].items()},
        )


def begin(graph: Graph) -> tuple[Marking, list[Start]]:
    """The marking of a new run, and its entry nodes to start (rule 1)."""
    draft = _Draft(graph, Marking())
    for place in graph.entries:
        draft.start(place)
    return draft.freeze()


def advance(graph: Graph, marking: Marking, completion: Completion) -> tuple[Marking, list[Start]]:
    """What follows from a completion: the new marking, and the nodes to start, in written order.

    The edges taken are those that `permitted` lets through.
    """
    draft = _Draft(graph, marking)
    draft.complete(completion)
    draft.start_all_ready()
    if not draft.active and draft.tokens:
        draft.start(draft.first_token_holder())
    return draft.freeze()


def permitted(graph: Graph, marking: Marking, edges: Iterable[EdgeNumber]) -> list[EdgeNumber]:
    """Those of `edges` that may still be taken: not the ones whose `max` is used up.

    Raises LoopLimitError when an edge that closes a cycle and has no `max` would pass its safety bound.
    """
    allowed = []
    for number in edges:
        edge = graph.edges[number]
        count = marking.takes.get(number, 0)
        if edge.max is None and number in graph.closing and count >= graph.loop_bound:
            raise LoopLimitError(graph.nodes[edge.source], graph.nodes[edge.target], graph.loop_bound)
        if edge.max is None or count < edge.max:
            allowed.append(number)
    return allowed


def dead_nodes(graph: Graph, marking: Marking) -> frozenset[NodeName]:
    """Nodes that can not start any more, because nothing going on reaches them."""
    going_on = _Draft(graph, marking).going_on()
    return frozenset(
        name
        for place, name in enumerate(graph.nodes)
        if not (graph.reached_by[place] & going_on) and name not in marking.active
    )


class _Draft:
    """A marking while it changes."""

    def __init__(self, graph: Graph, marking: Marking) -> None:
        self.graph = graph
        self.tokens = dict(marking.tokens)
        self.active = dict(marking.active)
        self.visits = dict(marking.visits)
        self.takes = dict(marking.takes)
        self.absorb = dict(marking.absorb)
        self.starts: list[Start] = []

    def freeze(self) -> tuple[Marking, list[Start]]:
        return Marking(self.tokens, self.active, self.visits, self.takes, self.absorb), self.starts

    def complete(self, completion: Completion) -> None:
        ended = self.active.pop(completion.node)
        for number in completion.taken:
            if self.graph.edges[number].max is not None or number in self.graph.closing:
                self.takes[number] = self.takes.get(number, 0) + 1
            self._put_token(number, ended.depth + 1)

    def start_all_ready(self) -> None:
        holders = {self.graph.edges[number].target for number in self.tokens}
        waiting = [place for place in sorted(holders) if self._may_start(place)]
        going_on = self.going_on() if waiting else 0
        for place in waiting:
            if self._is_ready(place, going_on):
                self.start(place)

    def start(self, place: int) -> None:
        name = self.graph.nodes[place]
        depths = []
        for edge in self.graph.incoming[place]:
            if edge.number in self.tokens:
                depths.append(self._take_token(edge.number))
            elif place in self.graph.join_first:  # rule 5: what comes second has been waited for already
                self.absorb[edge.number] = self.absorb.get(edge.number, 0) + 1
        visit = 1
        if place in self.graph.repeatable:
            visit = self.visits[name] = self.visits.get(name, 0) + 1
        start = Start(name, visit, max(depths, default=0))
        self.active[name] = Active(start.visit, start.depth)
        self.starts.append(start)

    def going_on(self) -> int:
        """The active and the token-holding nodes, as bits."""
        places = {self.graph.position[name] for name in self.active}
        places.update(self.graph.edges[number].target for number in self.tokens)
        return self.graph.bits(places)

    def first_token_holder(self) -> int:
        """Where rule 4 goes on."""
        rank = self.graph.reverse_postorder
        return min((self.graph.edges[number].target for number in self.tokens), key=lambda place: rank[place])

    def _may_start(self, place: int) -> bool:
        """Whether neither the node nor the source of an edge it waits for is active: the cheap part of rule 3."""
        if self.graph.nodes[place] in self.active:
            return False
        return place in self.graph.join_first or not any(
            self.graph.nodes[edge.source] in self.active for edge in self._missing(place)
        )

    def _is_ready(self, place: int, going_on: int) -> bool:
        """Rule 3: nothing that is still going on could bring the node another token."""
        if place in self.graph.join_first:
            return True
        others = going_on & ~(1 << place)
        return not any(self.graph.blockers(edge) & others for edge in self._missing(place))

    def _missing(self, place: int) -> Iterator[GraphEdge]:
        return (edge for edge in self.graph.incoming[place] if edge.number not in self.tokens)

    def _put_token(self, number: EdgeNumber, depth: int) -> None:
        if waiting := self.absorb.pop(number, 0):
            if waiting > 1:
                self.absorb[number] = waiting - 1
            return
        self.tokens[number] = (*self.tokens.get(number, ()), depth)

    def _take_token(self, number: EdgeNumber) -> int:
        depth, *rest = self.tokens.pop(number)
        if rest:
            self.tokens[number] = tuple(rest)
        return depth
