"""The rules of the marking, one at a time."""

import pytest

from apps.workflows.engine.errors import LoopLimitError
from apps.workflows.engine.graph import Graph, GraphEdge
from apps.workflows.engine.marking import Completion, Marking, Start, advance, begin, dead_nodes, permitted


def graph(*edges: str, bounds: dict[int, int] | None = None, first: str = "", loop_bound: int = 100) -> Graph:
    """A graph from edges like "ab"; nodes are written in alphabetical order."""
    names = sorted({name for edge in edges for name in edge})
    place = {name: number for number, name in enumerate(names)}
    made = [GraphEdge(n, place[a], place[b], max=(bounds or {}).get(n)) for n, (a, b) in enumerate(map(tuple, edges))]
    return Graph(names, made, frozenset(place[name] for name in first), loop_bound)


def play(on: Graph, *completions: tuple[str, list[int]]) -> tuple[Marking, list[list[str]]]:
    """The marking after some completions, and what each of them started; the first entry is what began."""
    marking, starts = begin(on)
    started = [[start.node for start in starts]]
    for node, taken in completions:
        marking, starts = advance(on, marking, Completion(node, taken))
        started.append([start.node for start in starts])
    return marking, started


def test_a_run_begins_with_its_entry_nodes() -> None:
    _, starts = begin(graph("ac", "bc"))

    assert starts == [Start("a", 1, 0), Start("b", 1, 0)]


def test_a_graph_without_an_entry_begins_with_the_first_node_written() -> None:
    _, starts = begin(graph("ab", "ba"))

    assert starts == [Start("a", 1, 0)]


def test_a_join_waits_for_every_branch_that_is_coming() -> None:
    on = graph("ab", "ac", "bd", "cd")

    _, started = play(on, ("a", [0, 1]), ("b", [2]), ("c", [3]))

    assert started == [["a"], ["b", "c"], [], ["d"]]


def test_a_join_does_not_wait_for_a_branch_that_is_not_taken() -> None:
    on = graph("ab", "ac", "bd", "cd")

    _, started = play(on, ("a", [0]), ("b", [2]))

    assert started == [["a"], ["b"], ["d"]]


def test_a_run_is_over_when_nothing_is_active_and_no_token_is_left() -> None:
    marking, _ = play(graph("ab"), ("a", []))

    assert marking.is_over


def test_where_two_nodes_wait_for_each_other_the_first_in_reverse_postorder_starts() -> None:
    on = graph("ab", "ac", "bc", "cb")

    _, started = play(on, ("a", [0, 1]))

    # The search goes from a to b to c, so b comes before c.
    assert started == [["a"], ["b"]]


def test_the_second_of_two_such_nodes_takes_all_its_tokens_at_once() -> None:
    on = graph("ab", "ac", "bc", "cb")

    marking, started = play(on, ("a", [0, 1]), ("b", [2]), ("c", []))

    assert started[2:] == [["c"], []]
    assert marking.is_over


def test_join_first_starts_on_the_first_token_and_absorbs_the_others() -> None:
    on = graph("ac", "bc", "cd", first="c")

    marking, started = play(on, ("a", [0]), ("b", [1]), ("c", [2]), ("d", []))

    assert started == [["a", "b"], ["c"], [], ["d"], []]
    assert marking.is_over


def test_join_first_starts_again_in_the_next_turn_of_a_loop() -> None:
    on = graph("ab", "ac", "bd", "cd", "da", first="d")

    _, started = play(on, ("a", [0, 1]), ("b", [2]), ("c", [3]), ("d", [4]), ("a", [0, 1]), ("c", [3]), ("b", [2]))

    assert started == [["a"], ["b", "c"], ["d"], [], ["a"], ["b", "c"], ["d"], []]


def test_a_visit_is_deeper_than_every_visit_that_led_to_it() -> None:
    on = graph("ab", "bd", "ad")

    marking, _ = play(on, ("a", [0, 2]), ("b", [1]))

    assert marking.active["d"].depth == 2


def test_only_nodes_that_may_run_again_have_their_visits_counted() -> None:
    marking, _ = play(graph("ab", "bc", "cb"), ("a", [0]), ("b", [1]), ("c", [2]))

    assert marking.visits == {"b": 2, "c": 1}


def test_an_edge_is_permitted_as_often_as_its_max_says() -> None:
    on = graph("aa", "ab", bounds={0: 2})

    marking, _ = play(on, ("a", [0]), ("a", [0]))

    assert permitted(on, marking, [0, 1]) == [1]


def test_an_edge_that_closes_a_cycle_ends_at_its_safety_bound() -> None:
    on = graph("aa", loop_bound=2)
    marking, _ = play(on, ("a", [0]), ("a", [0]))

    with pytest.raises(LoopLimitError, match="taken 2 times, its safety bound"):
        permitted(on, marking, [0])


def test_a_marking_is_not_changed_by_what_follows_from_it() -> None:
    on = graph("ab", "bb")
    marking, _ = begin(on)
    before = marking.as_json()

    advance(on, marking, Completion("a", [0]))

    assert marking.as_json() == before


def test_a_node_is_dead_when_nothing_going_on_reaches_it() -> None:
    on = graph("ab", "ac", "bd")

    marking, _ = play(on, ("a", [1]))

    assert dead_nodes(on, marking) == {"a", "b", "d"}
