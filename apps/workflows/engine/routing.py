"""Which edges a node that has ended takes, and whether its failure is handled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.workflows.engine.compiler import Compiled
from apps.workflows.engine.errors import ExpressionError
from apps.workflows.engine.graph import EdgeNumber, GraphEdge
from apps.workflows.engine.marking import Marking, permitted
from apps.workflows.engine.spec import ApprovalNode


class UnknownRouteError(Exception):
    """A node has routed edges, and its result names none of them."""

    def __init__(self, node: str, route: str | None, routes: Sequence[str]) -> None:
        named = f"names the route '{route}'" if route else "names no route"
        known = ", ".join(f"'{name}'" for name in routes)
        super().__init__(f"The result of '{node}' {named}, but its edges lead to {known}.")


@dataclass(frozen=True, slots=True)
class Decision:
    """The edges that are taken, and whether a failure counts as handled."""

    taken: Sequence[EdgeNumber]
    handled: bool


def decide_edges(
    compiled: Compiled,
    marking: Marking,
    node: str,
    *,
    failed: bool,
    route: str | None,
    scope: Mapping[str, Any],
    refused: bool = False,
) -> Decision:
    """What follows from the end of a visit of `node`.

    Where a person has `refused`, only edges that ask about the result are taken. For what a person decides no route
    need exist: without one it is a plain edge that means "approved".
    `scope` holds the names that conditions read. Raises UnknownRouteError, ExpressionError (a condition
    without a value) or LoopLimitError; each of them fails the node.
    """
    place = compiled.graph.position[node]
    spec = compiled.nodes[place].spec
    goes_on = not failed or spec.on_error == "continue"
    edges = compiled.graph.outgoing[place]
    if not failed and not isinstance(spec, ApprovalNode):
        _check_route(node, route, edges)
    wanted = [
        edge.number
        for edge in edges
        if _fits(edge, failed, goes_on)
        and _on_route(edge, route)
        and (_asks(edge) or not refused)
        and _holds(compiled, edge, scope)
    ]
    taken = permitted(compiled.graph, marking, wanted)
    caught = any(compiled.graph.edges[number].on in ("error", "always") for number in taken)
    return Decision(taken, handled=goes_on or caught)


def route_of(output: Any) -> str | None:
    """The route that a node's result names in its field `route`."""
    route = output.get("route") if isinstance(output, dict) else None
    return route if isinstance(route, str) else None


def _check_route(node: str, route: str | None, edges: Sequence[GraphEdge]) -> None:
    routes = list(dict.fromkeys(edge.route for edge in edges if edge.route is not None and edge.on != "error"))
    if routes and route not in routes:
        raise UnknownRouteError(node, route, routes)


def _fits(edge: GraphEdge, failed: bool, goes_on: bool) -> bool:
    return {"success": goes_on, "error": failed, "always": True}[edge.on]


def _on_route(edge: GraphEdge, route: str | None) -> bool:
    return edge.route is None or edge.route == route


def _asks(edge: GraphEdge) -> bool:
    """Whether an edge looks at the result: one that does not is no way on after a person said no."""
    return edge.when is not None or edge.route is not None or edge.on == "always"


def _holds(compiled: Compiled, edge: GraphEdge, scope: Mapping[str, Any]) -> bool:
    condition = compiled.conditions[edge.number]
    if condition is None:
        return True
    where = f"the condition '{condition.text}' on the edge to '{compiled.graph.nodes[edge.target]}'"
    try:
        value = condition.evaluate(scope)
    except ExpressionError as error:
        raise ExpressionError(f"In {where}: {error.message}", code=error.code, fix=error.fix) from None
    if not isinstance(value, bool):
        raise ExpressionError(f"T{where[1:]} is {value!r:.60}, not true or false.", code="not_a_condition")
    return value
