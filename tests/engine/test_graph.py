"""What a graph knows about itself, against slow and obvious ways to find the same."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.workflows.engine.graph import Graph, GraphEdge

Pairs = list[tuple[int, int]]
pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=16)
often = settings(max_examples=300, deadline=None)


def graph(size: int, ends: Pairs) -> Graph:
    return Graph([f"n{place}" for place in range(size)], [GraphEdge(n, a, b) for n, (a, b) in enumerate(ends)])


def reachable(start: int, ends: Pairs, avoiding: int | None = None) -> set[int]:
    """Every node that a walk from `start` comes to, without passing `avoiding`."""
    found = {start}
    for _ in range(len(ends)):
        found |= {b for a, b in ends if a in found and b != avoiding}
    return found


def members(mask: int) -> set[int]:
    return set(_bits(mask))


def _bits(mask: int) -> Iterator[int]:
    return (place for place in range(mask.bit_length()) if mask >> place & 1)


def test_nodes_without_incoming_edges_are_entries() -> None:
    assert graph(4, [(0, 2), (1, 2), (2, 3)]).entries == [0, 1]


def test_where_every_node_has_an_incoming_edge_the_first_one_written_is_the_entry() -> None:
    assert graph(3, [(0, 1), (1, 2), (2, 0)]).entries == [0]


def test_nodes_that_lead_nowhere_are_ends() -> None:
    assert graph(3, [(0, 1), (0, 2)]).ends == [1, 2]


def test_a_circle_that_no_entry_leads_to_is_unreachable() -> None:
    assert graph(4, [(0, 1), (2, 3), (3, 2)]).unreachable == [2, 3]


@pytest.mark.parametrize(
    ("ends", "closing"),
    [
        ([(0, 1), (1, 2)], set()),
        ([(0, 0)], {0}),
        ([(0, 1), (1, 0)], {1}),
        ([(0, 1), (1, 2), (0, 2)], set()),
        ([(0, 1), (1, 2), (2, 1), (2, 0)], {2, 3}),
        ([(0, 1), (1, 0), (1, 0)], {1, 2}),
    ],
)
def test_edges_that_lead_back_close_a_cycle(ends: Pairs, closing: set[int]) -> None:
    assert graph(1 + max(map(max, ends)), ends).closing == closing


@often
@given(pairs)
def test_without_the_closing_edges_no_cycle_is_left(ends: Pairs) -> None:
    whole = graph(7, [(0, place) for place in range(1, 7)] + ends)

    kept = [(edge.source, edge.target) for edge in whole.edges if edge.number not in whole.closing]

    assert not graph(7, kept).cyclic


@often
@given(pairs)
def test_a_component_is_what_reaches_each_other(ends: Pairs) -> None:
    component = graph(7, ends).component

    for a in range(7):
        for b in range(7):
            together = b in reachable(a, ends) and a in reachable(b, ends)
            assert (component[a] == component[b]) == together


@often
@given(pairs)
def test_components_are_numbered_in_topological_order(ends: Pairs) -> None:
    component = graph(7, ends).component

    assert all(component[a] <= component[b] for a, b in ends)
    assert set(component) == set(range(max(component) + 1))


def test_among_free_components_the_one_written_first_comes_first() -> None:
    assert graph(4, [(3, 0), (2, 1)]).component == [3, 1, 0, 2]


@often
@given(pairs)
def test_a_node_is_cyclic_when_it_can_come_back_to_itself(ends: Pairs) -> None:
    found = graph(7, ends).cyclic

    assert found == {a for a in range(7) if any(a in reachable(b, ends) for start, b in ends if start == a)}


@often
@given(pairs)
def test_a_node_is_repeatable_when_a_cyclic_one_reaches_it(ends: Pairs) -> None:
    whole = graph(7, ends)

    expected = {place for start in whole.cyclic for place in reachable(start, ends)}
    assert whole.repeatable == expected


@often
@given(pairs)
def test_reached_by_holds_every_node_that_leads_here(ends: Pairs) -> None:
    whole = graph(7, ends)

    for place in range(7):
        assert members(whole.reached_by[place]) == {a for a in range(7) if place in reachable(a, ends)}


@often
@given(pairs)
def test_blockers_of_an_edge_reach_its_source_without_passing_its_target(ends: Pairs) -> None:
    whole = graph(7, ends)

    for edge in whole.edges:
        sources = [a for a in range(7) if a != edge.target and edge.source in reachable(a, ends, avoiding=edge.target)]
        assert members(whole.blockers(edge)) - {edge.target} == set(sources)


def test_a_chain_of_ten_thousand_nodes_needs_no_deep_stack() -> None:
    chain = graph(10_000, [(place, place + 1) for place in range(9_999)])

    assert chain.component[-1] == 9_999
    assert not chain.cyclic
