"""Where the nodes and edges of a workflow are drawn: in layers from left to right, worked out once per version.

1. A node stands one layer behind the last of those that lead to it; edges that close a cycle do not count.
2. An edge over several layers gets a bend in each of them, so that it passes between the nodes.
3. In a layer everything is ordered by where its neighbours stand (barycentres, some sweeps to and fro).
4. Heights come as near to the neighbours as the order allows (least squares, by pooling adjacent violators).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from apps.workflows.engine.graph import Graph, GraphEdge

WIDTH, HEIGHT = 160, 54  # of a node
GAP, MARGIN, BEND = 18, 16, 12  # between two in a layer; around everything; the height of a bend
BETWEEN = 32  # layers
SWEEPS = 6
MOST_BENDS = 4_000  # beyond them edges go straight, as nobody follows them by eye

Spot = int | tuple[int, int]  # a node, or the bend of an edge in a layer


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge as it is drawn, and where a word beside it stands."""

    number: int
    path: str
    x: float
    y: float
    is_loop: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """A graph with a place for everything."""

    width: int
    height: int
    places: Mapping[int, tuple[float, float]]  # the upper left corners, by node
    wires: Sequence[Wire]


def lay_out(graph: Graph) -> Layout:
    """Give every node and edge its place."""
    layer = _layers(graph)
    forward = [edge for edge in graph.edges if edge.number not in graph.closing and edge.source != edge.target]
    chains = _chains(forward, layer)
    columns = _columns(layer, chains)
    links = [pair for chain in chains.values() for pair in pairwise(chain)]
    columns = _ordered(columns, links)
    middle = _heights(columns, links)
    at = {spot: (MARGIN + column * (WIDTH + BETWEEN)) for column, spots in enumerate(columns) for spot in spots}
    places = {place: (at[place], middle[place] - HEIGHT / 2) for place in range(len(graph.nodes))}
    lowest = max(y for _, y in places.values()) + HEIGHT
    wires = [_wire(edge.number, [(at[spot], middle[spot]) for spot in chains[edge.number]]) for edge in forward]
    loops = [edge for edge in graph.edges if edge.number not in chains]
    wires += [_loop(edge, places, lowest + 14 + 12 * turn) for turn, edge in enumerate(loops)]
    height = lowest + MARGIN + (14 + 12 * len(loops) if loops else 0)
    width = MARGIN * 2 + len(columns) * (WIDTH + BETWEEN) - BETWEEN
    return Layout(width, round(height), places, sorted(wires, key=lambda wire: wire.number))


def _layers(graph: Graph) -> list[int]:
    layer = [0] * len(graph.nodes)
    for place in sorted(graph.reverse_postorder, key=lambda one: graph.reverse_postorder[one]):
        for edge in graph.outgoing[place]:
            if edge.number not in graph.closing:
                layer[edge.target] = max(layer[edge.target], layer[place] + 1)
    return layer


def _chains(edges: Sequence[GraphEdge], layer: Sequence[int]) -> dict[int, list[Spot]]:
    """For each edge its ends, with the bends between them."""
    bends = sum(layer[edge.target] - layer[edge.source] - 1 for edge in edges)
    bent = bends <= MOST_BENDS
    return {
        edge.number: [
            edge.source,
            *((edge.number, at) for at in range(layer[edge.source] + 1, layer[edge.target]) if bent),
            edge.target,
        ]
        for edge in edges
    }


def _columns(layer: Sequence[int], chains: Mapping[int, Sequence[Spot]]) -> list[list[Spot]]:
    columns: list[list[Spot]] = [[] for _ in range(max(layer, default=0) + 1)]
    for place, number in enumerate(layer):
        columns[number].append(place)
    for chain in chains.values():
        for spot in chain[1:-1]:
            assert isinstance(spot, tuple)  # noqa: S101 - tells the type checker; only the ends are nodes
            columns[spot[1]].append(spot)
    return columns


def _ordered(columns: Sequence[list[Spot]], links: Iterable[tuple[Spot, Spot]]) -> list[list[Spot]]:
    before, after = _neighbours(links)
    ordered = [list(column) for column in columns]
    for sweep in range(SWEEPS):
        towards, look = (ordered, before) if sweep % 2 == 0 else (ordered[::-1], after)
        rank = {spot: place for column in ordered for place, spot in enumerate(column)}
        for column in towards:
            wanted = {spot: fmean([rank[other] for other in look.get(spot, ())] or [rank[spot]]) for spot in column}
            column.sort(key=lambda spot: wanted[spot])
            rank.update((spot, place) for place, spot in enumerate(column))
    return ordered


def _neighbours(links: Iterable[tuple[Spot, Spot]]) -> tuple[dict[Spot, list[Spot]], dict[Spot, list[Spot]]]:
    before: dict[Spot, list[Spot]] = {}
    after: dict[Spot, list[Spot]] = {}
    for source, target in links:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    return before, after


def _heights(columns: Sequence[Sequence[Spot]], links: Iterable[tuple[Spot, Spot]]) -> dict[Spot, float]:
    """The middle of everything, the highest node at the upper margin."""
    before, after = _neighbours(links)
    steps = [list(_steps(column)) for column in columns]
    middle: dict[Spot, float] = {}
    for column, sums in zip(columns, steps, strict=True):
        middle.update((spot, step - sums[-1] / 2) for spot, step in zip(column, sums, strict=True))
    for sweep in range(SWEEPS):
        look = (before, after)[sweep % 2]
        turns = range(len(columns)) if sweep % 2 == 0 else range(len(columns) - 1, -1, -1)
        for turn in turns:
            column = columns[turn]
            wanted = [fmean([middle[other] for other in look.get(spot, ())] or [middle[spot]]) for spot in column]
            middle.update(zip(column, _kept_apart(wanted, steps[turn]), strict=True))
    shift = MARGIN - min(y - _size(spot) / 2 for spot, y in middle.items())
    return {spot: round(y + shift, 1) for spot, y in middle.items()}


def _steps(column: Sequence[Spot]) -> Iterator[float]:
    """How far below the first each of a layer is when they stand as near as they may."""
    far = 0.0
    for place, spot in enumerate(column):
        if place:
            far += (_size(column[place - 1]) + _size(spot)) / 2 + GAP
        yield far


def _size(spot: Spot) -> int:
    return HEIGHT if isinstance(spot, int) else BEND


def _kept_apart(wanted: Sequence[float], steps: Sequence[float]) -> list[float]:
    """The heights nearest to those wanted that keep the distances."""
    pools: list[tuple[float, int]] = []  # the mean of some neighbours, and how many they are
    for want, step in zip(wanted, steps, strict=True):
        mean, count = want - step, 1
        while pools and pools[-1][0] > mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    flat = [mean for mean, count in pools for _ in range(count)]
    return [mean + step for mean, step in zip(flat, steps, strict=True)]


def _wire(number: int, points: Sequence[tuple[float, float]]) -> Wire:
    """A curve from the right side of the first node to the left side of the last."""
    (x, y), *rest = points
    x += WIDTH
    path = [f"M{x:g} {y:g}"]
    for place, (to_x, to_y) in enumerate(rest):
        half = (x + to_x) / 2
        path.append(f"C{half:g} {y:g} {half:g} {to_y:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
        if place < len(rest) - 1:
            x += WIDTH
            path.append(f"H{x:g}")
    return Wire(number, "".join(path), x + 2, round(y - HEIGHT / 2 - 6, 1))  # the word stands above where it leads


def _loop(edge: GraphEdge, places: Mapping[int, tuple[float, float]], lowest: float) -> Wire:
    """A way back, below everything."""
    x, y = places[edge.source]
    to_x, to_y = places[edge.target]
    start, end = x + WIDTH / 2 + 12, to_x + WIDTH / 2 - 12
    turn = -8 if start > end else 8
    path = (
        f"M{start:g} {y + HEIGHT:g}V{lowest - 8:g}Q{start:g} {lowest:g} {start + turn:g} {lowest:g}"
        f"H{end - turn:g}Q{end:g} {lowest:g} {end:g} {lowest - 8:g}V{to_y + HEIGHT:g}"
        f"m-4 7l4 -7l4 7"
    )
    return Wire(edge.number, path, (start + end) / 2, lowest, is_loop=True)
