"""Writes to the shared keys of a run: in which order they count, and when two of them conflict."""

from dataclasses import dataclass
from typing import Any

from apps.common.json import JSON
from apps.workflows.engine.compiler import Compiled
from apps.workflows.engine.errors import ExpressionError
from apps.workflows.services.transition.scope import Scope
from apps.workflows.store.rows import NodeRow


@dataclass(frozen=True)
class Write:
    """A value for a key, its rank among the writes, and the node it conflicts with."""

    key: str
    value: JSON
    rank: list[int]
    conflicts_with: str | None


def rank_of(compiled: Compiled, row: NodeRow) -> list[int]:
    """The place of a node run's writes among all others.

    Node order (a topological order, ties as written) comes first, logical time second, so that neither
    the moment of a completion nor the worker that brought it decides.
    """
    place = compiled.graph.position[row.node]
    return [compiled.graph.component[place], row.depth, place, row.index]


def prepare_write(scope: Scope, compiled: Compiled, row: NodeRow, key: str, value: JSON) -> Write:
    """The write of `value` by a node run; raises ExpressionError when the key's reducer cannot take it."""
    declared = compiled.definition.context.get(key)
    reducer = declared.reducer if declared else "overwrite"
    _check(reducer, key, value)
    rank = rank_of(compiled, row)
    other = _conflict(scope, compiled, row, key, rank) if reducer == "overwrite" else None
    return Write(key, value, rank, other)


def _check(reducer: str, key: str, value: Any) -> None:
    if reducer == "merge" and not isinstance(value, dict):
        raise ExpressionError(
            f"The context key '{key}' merges objects; {value!r:.60} is none.", code="bad_context_value"
        )
    if reducer == "add" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ExpressionError(f"The context key '{key}' adds numbers; {value!r:.60} is none.", code="bad_context_value")


def _conflict(scope: Scope, compiled: Compiled, row: NodeRow, key: str, rank: list[int]) -> str | None:
    """The other node that wrote the key without either of the two coming before the other."""
    place = compiled.graph.position[row.node]
    for other_rank, _, other in scope.writes(key):
        other_place = compiled.graph.position.get(other)
        if other_place is None or other_place == place:
            continue
        graph = compiled.graph
        ordered = graph.may_precede(other_place, place) or graph.may_precede(place, other_place)
        if not ordered or other_rank > rank:
            return other
    return None
