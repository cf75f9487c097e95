"""Shared keys: reducers, conflicts, and values that do not depend on timing."""

import pytest

from tests.engine.documents import workflow
from tests.workflows.probes import probe


def writers(reducer="overwrite", values=("from a", "from b"), **declared):
    nodes = {
        "s": {},
        "a": probe("a", save={"k": "{{ output }}"}),
        "b": probe("b", save={"k": "{{ output }}"}),
        "j": {"values": {"k": "{{ context.k }}"}},
    }
    document = workflow(nodes, ["s a", "s b", "a j", "b j"], context={"k": {"reducer": reducer, **declared}})
    return document, dict(zip("ab", values, strict=True))


def run_in_order(room, document, outputs, order):
    run = room.start(document)
    room.begin(run, "s")
    claims = {name: room.claim(run, name) for name in "ab"}
    for name in order:
        room.bring(claims[name], outputs[name], go_on=False)
    room.until_ended(run)
    return run


CASES = [
    ("overwrite", ("x", "y"), {}, "y"),
    ("append", (1, 2), {"initial": [0]}, [0, 1, 2]),
    ("add", (0.1, 0.2), {"initial": 0.3}, sum([0.1, 0.2], 0.3)),
    ("merge", ({"p": 1, "q": 1}, {"q": 2}), {"initial": {"o": 0}}, {"o": 0, "p": 1, "q": 2}),
]


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize(("reducer", "values", "declared", "expected"), CASES, ids=lambda case: str(case)[:12])
def test_two_parallel_writes_give_the_same_in_either_order(room, calls, order, reducer, values, declared, expected):
    document, outputs = writers(reducer, values, **declared)

    run = run_in_order(room, document, outputs, order)

    assert room.context(run) == {"k": expected}
    assert room.output(run) == {"j": {"k": expected}}


@pytest.mark.parametrize(("order", "told"), [("ab", ("b", "a")), ("ba", ("a", "b"))])
def test_a_conflict_is_told_by_whoever_comes_second(room, calls, order, told):
    run = run_in_order(room, *writers(), order)

    conflicts = [(event.node, event.data.get("conflicts_with")) for event in room.events(run, "context.changed")]
    assert conflicts[0][1] is None
    assert conflicts[1] == told


@pytest.mark.parametrize("reducer", ["append", "add"])
def test_other_reducers_know_no_conflict(room, calls, reducer):
    run = run_in_order(room, *writers(reducer, (1, 2)), "ab")

    assert not any("conflicts_with" in event.data for event in room.events(run, "context.changed"))


def test_one_after_the_other_is_no_conflict(room):
    nodes = {name: {"save": {"k": name}} for name in "ab"}

    run = room.finish(workflow(nodes, ["a b"])).pk

    assert room.context(run) == {"k": "b"}
    assert not any("conflicts_with" in event.data for event in room.events(run, "context.changed"))


def test_a_loop_overwrites_its_own_key(room):
    nodes = {"s": {"save": {"n": 0}}, "a": {"values": {}, "save": {"n": "{{ context.n + 1 }}"}}}

    run = room.finish(workflow(nodes, ["s a", {"from": "a", "to": "a", "when": "context.n < 5"}])).pk

    assert room.context(run) == {"n": 5}
    assert room.visits(run)["a"] == 5


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_items_of_a_map_count_in_their_order(room, calls, order):
    body = probe("i", save={"last": "{{ item }}"})
    run = room.start(workflow({"m": {"type": "map", "over": ["x", "y", "z"], "node": body}}))
    room.begin(run, "m")
    claims = [room.claim(run, "m", index=index) for index in range(3)]

    for index in order:
        room.bring(claims[index], 1)

    assert room.context(run) == {"last": "z"}


@pytest.mark.parametrize(
    ("reducer", "value"), [("merge", [1]), ("merge", "x"), ("add", "1"), ("add", True), ("add", None)]
)
def test_a_value_that_the_reducer_cannot_take_fails_the_node_that_wrote_it(room, calls, reducer, value):
    calls["a"] = lambda task, ctx: {"v": value}
    document = workflow(
        {"a": probe("a", save={"other": 1, "k": "{{ output.v }}"})}, context={"k": {"reducer": reducer}}
    )

    run = room.finish(document)

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "bad_context_value")
    assert "'k'" in room.error(run.pk)["message"]
    assert room.context(run.pk) == {}


def test_an_initial_value_is_there_before_any_write(room):
    nodes = {"a": {"values": {"k": "{{ context.k }}"}}}

    run = room.finish(workflow(nodes, context={"k": {"initial": {"x": 1}}}))

    assert room.output(run) == {"a": {"k": {"x": 1}}}
    assert room.context(run.pk) == {"k": {"x": 1}}


def test_a_key_that_nobody_has_written_is_not_there(room):
    nodes = {"a": {"values": {"k": "{{ has(context.k) ? context.k : 'none' }}"}}, "b": {"save": {"k": 1}}}

    assert room.output(room.finish(workflow(nodes, ["a b"])))["b"] == {}
    assert room.node_output(room.finish(workflow(nodes, ["a b"])).pk, "a") == {"k": "none"}


def test_a_large_value_is_kept_whole(room, calls):
    calls["a"] = lambda task, ctx: "x" * 300_000
    document = workflow(
        {"a": probe("a", save={"k": "{{ output }}"}), "b": {"values": {"n": "{{ size(context.k) }}"}}}, ["a b"]
    )

    run = room.finish(document)

    assert room.output(run) == {"b": {"n": 300_000}}
