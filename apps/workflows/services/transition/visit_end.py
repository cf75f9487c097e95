"""The end of a visit: which edges are taken, and what starts."""

from typing import TYPE_CHECKING

from apps.common.errors import Fatal
from apps.common.json import NotJson
from apps.workflows.engine.errors import ExpressionError, LoopLimitError
from apps.workflows.engine.marking import Completion, advance
from apps.workflows.engine.routing import Decision, UnknownRouteError, decide_edges, route_of
from apps.workflows.nodes.base import Completed, Failed
from apps.workflows.services.transition import ending, node_end
from apps.workflows.services.transition.failures import error_of
from apps.workflows.services.transition.names import ending_names
from apps.workflows.services.transition.starting import start_all
from apps.workflows.store.rows import NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition


def end_visit(transition: "Transition", row: NodeRow, outcome: Completed | Failed) -> None:
    """Ends a visit: its edges are decided and what they lead to starts, or the run fails."""
    outcome = node_end.packed(transition, row, outcome)
    saved = len(transition.context), len(transition.events)
    try:
        decision = _decide(transition, row, outcome)
    except (ExpressionError, UnknownRouteError, LoopLimitError, Fatal, NotJson) as error:
        _take_back(transition, *saved)
        outcome = Failed(error_of(error))
        decision = _decide_after(transition, row, outcome)
    node_end.end(transition, row, outcome, handled=decision.handled)
    if isinstance(outcome, Failed) and not decision.handled:
        ending.fail_run(transition, outcome.error, row)
        return
    graph = transition.compiled.graph
    for number in decision.taken:
        edge = graph.edges[number]
        transition.tell("edge.taken", row, edge=number, to=graph.nodes[edge.target], route=edge.route)
    marking, starts = advance(graph, transition.marking, Completion(row.node, decision.taken))
    transition.mark(marking)
    start_all(transition, starts)


def _decide(transition: "Transition", row: NodeRow, outcome: Completed | Failed) -> Decision:
    """The edges that are taken; the node's context keys are written on the way."""
    node = transition.compiled.node(row.node)
    names = ending_names(transition, row, node, outcome)
    route = None
    if isinstance(outcome, Completed):
        node_end.save(transition, row, node, names)
        names = ending_names(transition, row, node, outcome)  # conditions see what was just saved
        route = outcome.route or route_of(outcome.output)
    return decide_edges(
        transition.compiled,
        transition.marking,
        row.node,
        failed=isinstance(outcome, Failed),
        route=route,
        scope=names,
        refused=isinstance(outcome, Completed) and outcome.refused,
    )


def _decide_after(transition: "Transition", row: NodeRow, outcome: Failed) -> Decision:
    """The edges of a node whose end could not be decided: those for its failure, if they can."""
    try:
        return _decide(transition, row, outcome)
    except (ExpressionError, LoopLimitError):
        return Decision((), handled=False)


def _take_back(transition: "Transition", writes: int, events: int) -> None:
    """Forgets what a node wrote to the context whose end turned out to be a failure: a retry writes it again."""
    for write, _ in reversed(transition.context[writes:]):
        transition.scope.unwrote(write.key)
    del transition.context[writes:], transition.events[events:]
