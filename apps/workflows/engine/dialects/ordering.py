"""What waits for what: names of dependencies looked up, circles refused, and an order to visit them in."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.workflows.engine.dialects.translation import check_edges, stop_on, unknown
from apps.workflows.engine.errors import Issue, pointer, shorten


@dataclass(frozen=True)
class Ordering:
    """Things by their place in the document."""

    needed: Sequence[Sequence[int]]  # for each, those it depends on
    order: Sequence[int]  # all of them, each after those it depends on


def ordering(things: str, names: Sequence[str], depends_on: Sequence[Sequence[str]]) -> Ordering:
    """Who waits for whom in `things`, the document's list; raises DefinitionError."""
    check_edges(sum(map(len, depends_on)), pointer(things))
    place = {name: number for number, name in enumerate(names)}
    stop_on(_twice(things, names, place))
    stop_on(_unknown(things, depends_on, place))
    needed = [list(dict.fromkeys(place[name] for name in wanted)) for wanted in depends_on]
    order = _topological(needed)
    stop_on([_circle(things, names, needed, order)] if len(order) < len(names) else [])
    return Ordering(needed, order)


def _twice(things: str, names: Sequence[str], place: dict[str, int]) -> list[Issue]:
    return [
        Issue(pointer(things, number), "duplicate_name", f"Another of the {things} is called '{name}', too.")
        for number, name in enumerate(names)
        if place[name] != number
    ]


def _unknown(things: str, depends_on: Sequence[Sequence[str]], place: dict[str, int]) -> list[Issue]:
    missing = [
        (pointer(things, number, "depends_on", position), name)
        for number, wanted in enumerate(depends_on)
        for position, name in enumerate(wanted)
        if name not in place
    ]
    return [unknown(where, things.removesuffix("s"), name, place) for where, name in missing[:50]]


def _topological(needed: Sequence[Sequence[int]]) -> list[int]:
    """Kahn's algorithm; what stands on a circle or behind one is left out."""
    waits_for = [len(wanted) for wanted in needed]
    needed_by: list[list[int]] = [[] for _ in needed]
    for number, wanted in enumerate(needed):
        for other in wanted:
            needed_by[other].append(number)
    order = [number for number, count in enumerate(waits_for) if not count]
    for number in order:
        for other in needed_by[number]:
            waits_for[other] -= 1
            if not waits_for[other]:
                order.append(other)
    return order


def _circle(things: str, names: Sequence[str], needed: Sequence[Sequence[int]], order: Sequence[int]) -> Issue:
    placed = set(order)
    here = next(number for number in range(len(names)) if number not in placed)
    way: dict[int, None] = {}  # in the order in which it was gone
    while here not in way:
        way[here] = None
        here = next(number for number in needed[here] if number not in placed)
    steps = list(way)
    circle = [*steps[steps.index(here) :], here]
    way_around = " → ".join(f"'{names[number]}'" for number in circle)
    message = f"These wait for each other in a circle: {shorten(way_around, 300)}."
    return Issue(pointer(things, circle[0], "depends_on"), "circle", message)
