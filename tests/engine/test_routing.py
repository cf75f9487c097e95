"""Which edges a finished node takes."""

from typing import Any

import pytest

from apps.workflows.engine.errors import ExpressionError, LoopLimitError
from apps.workflows.engine.marking import Completion, advance, begin
from apps.workflows.engine.routing import Decision, UnknownRouteError, decide_edges, route_of
from tests.engine.documents import compiled
from tests.engine.simulator import simulate


def edge(**fields: Any) -> dict[str, Any]:
    return {"from": "a", "to": "b", **fields}


def decide(
    edges: list[dict[str, Any]], *, failed: bool = False, output: Any = None, node: dict[str, Any] | None = None
) -> Decision:
    """What follows from the end of node `a`, whose edges lead to `b`."""
    graph = compiled({"a": node or {}, "b": {}, "c": {}}, [*edges, {"from": "b", "to": "c"}])
    marking, _ = begin(graph.graph)
    scope = {"output": output, "error": None, "visit": 1, "inputs": {}, "context": {}, "nodes": {}, "run": {}}
    return decide_edges(graph, marking, "a", failed=failed, route=route_of(output), scope=scope)


@pytest.mark.parametrize(
    ("on", "failed", "taken"),
    [
        ("success", False, True),
        ("success", True, False),
        ("error", False, False),
        ("error", True, True),
        ("always", False, True),
        ("always", True, True),
    ],
)
def test_an_edge_is_taken_on_success_on_error_or_always(on: str, failed: bool, taken: bool) -> None:
    assert bool(decide([edge(on=on)], failed=failed).taken) == taken


@pytest.mark.parametrize(
    ("edges", "handled"),
    [
        ([edge()], False),
        ([edge(on="error")], True),
        ([edge(on="always")], True),
        ([edge(on="error", when="false")], False),
        ([edge(on="error", when="output == null")], True),
        ([], False),
    ],
)
def test_a_failure_is_handled_by_an_error_or_always_edge_that_is_taken(edges: list[Any], handled: bool) -> None:
    assert decide(edges, failed=True).handled == handled


def test_on_error_continue_takes_the_success_edges_of_a_failed_node() -> None:
    decision = decide([edge(), edge(on="error")], failed=True, node={"on_error": "continue"})

    assert decision == Decision([0, 1], handled=True)


@pytest.mark.parametrize(("when", "taken"), [("output.x > 1", [0]), ("output.x > 5", []), ("{{ output.x == 2 }}", [0])])
def test_a_condition_decides(when: str, taken: list[int]) -> None:
    assert decide([edge(when=when)], output={"x": 2}).taken == taken


@pytest.mark.parametrize("when", ["output.x", '"true"', "null", "1"])
def test_a_condition_is_true_or_false_and_nothing_else(when: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        decide([edge(when=when)], output={"x": 2})

    assert caught.value.code == "not_a_condition"


def test_a_result_takes_the_edges_of_the_route_it_names_and_those_without_a_route() -> None:
    decision = decide([edge(route="x"), edge(route="y"), edge(), edge(route="x", when="false")], output={"route": "x"})

    assert decision.taken == [0, 2]


@pytest.mark.parametrize("output", [{"route": "z"}, {"route": 5}, {}, None, "x", ["x"]])
def test_a_result_that_names_no_route_of_its_node_fails_it(output: Any) -> None:
    with pytest.raises(UnknownRouteError, match="its edges lead to 'x', 'y'"):
        decide([edge(route="x"), edge(route="y"), edge(route="x")], output=output)


def test_a_failed_node_need_not_name_a_route() -> None:
    assert decide([edge(route="x"), edge(on="error")], failed=True).taken == [1]


def test_a_route_does_not_matter_where_no_edge_has_one() -> None:
    assert decide([edge()], output={"route": "elsewhere"}).taken == [0]


def test_an_edge_whose_max_is_used_up_is_not_taken() -> None:
    workflow = compiled(
        {"a": {}, "b": {}}, [{"from": "a", "to": "a", "max": 2}, {"from": "a", "to": "b", "when": "visit > 2"}]
    )

    ended = simulate(workflow)

    assert ended.visits == {"a": 3, "b": 1}


def test_a_used_up_error_edge_handles_nothing() -> None:
    nodes = {"a": {"type": "fail", "message": "again"}, "b": {}}

    ended = simulate(compiled(nodes, [{"from": "a", "to": "a", "on": "error", "max": 2}, {"from": "a", "to": "b"}]))

    assert (ended.status, ended.error, ended.visits["a"]) == ("failed", "again", 3)


def test_passing_the_safety_bound_of_a_cycle_raises() -> None:
    graph = compiled({"a": {}}, ["a a"]).graph
    marking, _ = begin(graph)
    for _ in range(100):
        marking, _ = advance(graph, marking, Completion("a", [0]))

    with pytest.raises(LoopLimitError):
        decide_edges(compiled({"a": {}}, ["a a"]), marking, "a", failed=False, route=None, scope={})


def test_a_run_that_passes_the_safety_bound_fails() -> None:
    ended = simulate(compiled({"a": {}}, ["a a"]))

    assert ended.status == "failed"
    assert "closes a cycle and has been taken 100 times" in ended.error


def test_an_error_edge_catches_the_loop_limit() -> None:
    nodes = {"a": {}, "rescue": {"values": {"m": "{{ nodes.a.error.message }}"}}}

    ended = simulate(compiled(nodes, ["a a", {"from": "a", "to": "rescue", "on": "error"}]))

    assert ended.status == "completed"
    assert "safety bound" in ended.output["rescue"]["m"]


def test_an_error_edge_catches_an_unknown_route() -> None:
    nodes = {"a": {"values": {"route": "z"}}, "b": {}, "rescue": {}}

    ended = simulate(compiled(nodes, [edge(route="x"), {"from": "a", "to": "rescue", "on": "error"}]))

    assert (ended.status, ended.visits) == ("completed", {"a": 1, "b": 0, "rescue": 1})
