"""Forking: a new run that takes over what another had finished before some node."""

import pytest

from apps.common.errors import Fatal, Invalid
from apps.common.failpoints import armed
from apps.workflows.models import Run, RunEvent
from tests.engine.documents import workflow
from tests.workflows.probes import probe

CHAIN = workflow(
    {
        "a": probe("a", input="{{ inputs.n }}"),
        "b": probe("b", input="{{ nodes.a.output + 1 }}", save={"log": "b{{ output }}"}),
        "c": probe("c", input=["{{ nodes.b.output }}", "{{ inputs.n }}", "{{ context.log }}"]),
    },
    ["a b", "b c"],
    context={"log": {"reducer": "append", "initial": ["start"]}},
)


@pytest.fixture
def source(room, calls):
    return room.finish(CHAIN, {"n": 1}).pk


def history(room, run):
    return [(event.seq, event.type, event.node, event.visit, event.data) for event in room.events(run)]


def test_a_fork_whose_commit_was_not_answered_is_made_once(room, source):
    with armed("commit_then_raise=raise:once"):
        fork = room.fork(source, "b")

    assert room.until_ended(fork).status == "completed"
    with room.scope():
        assert [run.pk for run in Run.objects.filter(forked_from=source)] == [fork]


@pytest.mark.parametrize(("node", "again"), [("a", "abc"), ("b", "bc"), ("c", "c")])
def test_a_fork_runs_again_what_comes_from_the_node_on(room, calls, source, node, again):
    calls.calls.clear()

    fork = room.fork(source, node)

    assert room.until_ended(fork).status == "completed"
    assert "".join(sorted(calls.calls)) == again
    assert room.output(fork) == room.output(source)
    assert room.context(fork) == room.context(source)


def test_what_came_before_is_identical(room, source):
    fork = room.until_ended(room.fork(source, "c"))

    assert (fork.forked_from_id, fork.trigger) == (source, "fork")
    assert history(room, fork.pk)[: fork.forked_at] == history(room, source)[: fork.forked_at]
    for name in "ab":
        taken_over, original = room.node(fork.pk, name), room.node(source, name)
        assert (taken_over.output, taken_over.input, taken_over.started_at, taken_over.attempt) == (
            original.output, original.input, original.started_at, original.attempt,
        )  # fmt: skip


def test_its_events_have_no_gap(room, source):
    fork = room.until_ended(room.fork(source, "b"))

    numbers = list(RunEvent.objects.filter(run=fork.pk).order_by("seq").values_list("seq", flat=True))
    assert numbers == list(range(1, fork.last_seq + 1))


def test_the_other_run_is_not_touched(room, source):
    before = (room.run(source).last_seq, history(room, source))

    room.until_ended(room.fork(source, "a"))

    assert (room.run(source).last_seq, history(room, source)) == before


def test_a_fork_with_another_input(room, source):
    fork = room.until_ended(room.fork(source, "c", input={"n": 50}))

    assert room.output(fork) == {"c": [2, 50, ["start", "b2"]]}


def test_another_input_has_to_fit(room):
    document = workflow({"a": {}}, inputs={"type": "object", "properties": {"n": {"type": "integer"}}})
    source = room.finish(document, {"n": 1}).pk

    with pytest.raises(Invalid):
        room.fork(source, "a", input={"n": "x"})


@pytest.mark.parametrize("log", [["other"], [], ["start", "x"], [[1]]])
def test_a_fork_with_another_context(room, source, log):
    fork = room.until_ended(room.fork(source, "c", context={"log": log}))

    assert room.output(fork) == {"c": [2, 1, log]}
    assert room.context(fork.pk) == {"log": log}


def test_later_writes_come_after_the_value_that_was_set(room, source):
    fork = room.until_ended(room.fork(source, "b", context={"log": ["mine"]}))

    assert room.context(fork.pk) == {"log": ["mine", "b2"]}


@pytest.mark.parametrize(
    ("reducer", "initial", "write", "given", "shown"),
    [
        ("add", 10, 1, 100, 101),
        ("merge", {"a": 1}, {"b": 2}, {"c": 3}, {"c": 3, "b": 2}),
        ("overwrite", "x", "late", "set", "late"),
    ],
)
def test_every_reducer_goes_on_from_the_value_that_was_set(room, reducer, initial, write, given, shown):
    nodes = {"a": {}, "b": {"save": {"k": write}}}
    document = workflow(nodes, ["a b"], context={"k": {"reducer": reducer, "initial": initial}})
    source = room.finish(document).pk

    fork = room.until_ended(room.fork(source, "b", context={"k": given}))

    assert room.context(fork.pk) == {"k": shown}


@pytest.mark.parametrize(("key", "value"), [("log", 5), ("log", "abc"), ("log", None), ("nothing", 1), ("", 1)])
def test_a_context_that_does_not_fit_is_refused(room, source, key, value):
    with pytest.raises(Invalid) as raised:
        room.fork(source, "c", context={key: value})

    assert raised.value.errors[0].pointer == f"/context/{key}"


def test_a_fork_with_another_definition(room, calls, source):
    nodes = {**CHAIN["nodes"], "c": {"type": "set", "values": {"new": "{{ nodes.b.output }}"}}, "d": probe("d")}
    calls.calls.clear()

    fork = room.until_ended(
        room.fork(
            source, "c", definition=CHAIN | {"nodes": nodes, "edges": [*CHAIN["edges"], {"from": "c", "to": "d"}]}
        )
    )

    assert (fork.status, dict(calls.calls)) == ("completed", {"d": 1})
    assert room.node_output(fork.pk, "c") == {"new": 2}


def test_a_definition_that_lacks_what_was_reached_is_refused(room, source):
    with pytest.raises(Invalid) as raised:
        room.fork(source, "c", definition=workflow({"x": {}}))

    assert raised.value.code == "does_not_fit"


def test_a_definition_that_lacks_a_node_that_had_finished_fits(room, source):
    nodes = {"b": probe("b"), "c": {"values": {"v": "{{ inputs.n }}"}}}

    fork = room.until_ended(room.fork(source, "c", definition=workflow(nodes, ["b c"])))

    assert (fork.status, room.output(fork)) == ("completed", {"c": {"v": 1}})


@pytest.mark.parametrize(("node", "visit"), [("nobody", None), ("a", 2), ("", None)])
def test_a_place_that_the_run_never_came_to_is_refused(room, source, node, visit):
    with pytest.raises(Invalid) as raised:
        room.fork(source, node, visit=visit)

    assert raised.value.errors[0].pointer == "/from_node"


def test_a_fork_of_a_fork(room, calls, source):
    first = room.until_ended(room.fork(source, "b", input={"n": 7})).pk
    calls.calls.clear()

    second = room.until_ended(room.fork(first, "c"))

    assert dict(calls.calls) == {"c": 1}
    assert room.output(second) == {"c": [2, 7, ["start", "b2"]]}
    assert second.forked_from_id == first


def test_a_fork_from_before_what_a_fork_took_over(room, calls, source):
    first = room.until_ended(room.fork(source, "c")).pk
    calls.calls.clear()

    second = room.until_ended(room.fork(first, "b"))

    assert (second.status, dict(calls.calls)) == ("completed", {"b": 1, "c": 1})


def test_a_fork_inside_a_loop(room, calls):
    nodes = {"s": {}, "a": probe("a", input="{{ visit }}", save={"all": "{{ output }}"}), "e": {}}
    edges = ["s a", {"from": "a", "to": "a", "when": "output < 4"}, {"from": "a", "to": "e", "when": "output >= 4"}]
    source = room.finish(workflow(nodes, edges, context={"all": {"reducer": "append", "initial": []}})).pk
    assert room.context(source) == {"all": [1, 2, 3, 4]}
    calls.calls.clear()

    fork = room.until_ended(room.fork(source, "a", visit=3))

    assert (fork.status, calls.calls["a"], room.visits(fork.pk)) == ("completed", 2, room.visits(source))
    assert room.context(fork.pk) == {"all": [1, 2, 3, 4]}
    assert room.run(fork.pk).visits == room.run(source).visits


def test_a_bounded_edge_stays_used_up(room, calls):
    edges = ["s a", {"from": "a", "to": "a", "max": 2}, "a e"]
    source = room.finish(workflow({"s": {}, "a": probe("a"), "e": {}}, edges)).pk

    fork = room.until_ended(room.fork(source, "a", visit=2))

    assert room.visits(fork.pk) == room.visits(source)


def test_a_fork_of_one_of_two_branches_lets_the_other_go_on_too(room, calls):
    document = workflow({"s": {}, "a": probe("a"), "b": probe("b"), "j": {}}, ["s a", "s b", "a j", "b j"])
    source = room.finish(document).pk

    fork = room.until_ended(room.fork(source, "a"))

    assert (fork.status, room.statuses(fork.pk), room.visits(fork.pk)) == (
        "completed", dict.fromkeys("sabj", "completed"), dict.fromkeys("sabj", 1),
    )  # fmt: skip


def test_a_fork_of_the_join_repeats_no_branch(room, calls):
    document = workflow({"s": {}, "a": probe("a"), "b": probe("b"), "j": probe("j")}, ["s a", "s b", "a j", "b j"])
    source = room.finish(document).pk
    calls.calls.clear()

    fork = room.until_ended(room.fork(source, "j"))

    assert (fork.status, dict(calls.calls)) == ("completed", {"j": 1})


def test_a_map_that_had_finished_is_taken_over_with_its_items(room, calls):
    nodes = {
        "m": {"type": "map", "over": [1, 2], "node": probe("i", input="{{ item }}")},
        "n": {"values": {"m": "{{ nodes.m.output }}"}},
    }
    source = room.finish(workflow(nodes, ["m n"])).pk
    calls.calls.clear()

    fork = room.until_ended(room.fork(source, "n"))

    assert (room.output(fork), dict(calls.calls)) == ({"n": {"m": [1, 2]}}, {})
    items = [row for row in room.nodes(fork.pk, "m") if row.index >= 0]
    assert {row.parent_id for row in items} == {room.node(fork.pk, "m").pk}


def test_a_fork_of_a_failed_run_goes_on_with_a_mended_definition(room, calls):
    calls.fails("b", Fatal("no"), Fatal("no"))
    document = workflow({"a": probe("a"), "b": probe("b"), "c": {}}, ["a b", "b c"])
    source = room.finish(document).pk
    mended = document | {"nodes": document["nodes"] | {"b": {"type": "set", "values": {}}}}

    fork = room.until_ended(room.fork(source, "b", definition=mended))

    assert (fork.status, calls.calls["a"]) == ("completed", 1)


def test_a_fork_after_a_failure_that_was_handled(room, calls):
    calls.fails("a", Fatal("no"))
    document = workflow(
        {"a": probe("a"), "b": {"values": {"e": "{{ nodes.a.error.message }}"}}},
        [{"from": "a", "to": "b", "on": "error"}],
    )
    source = room.finish(document).pk

    fork = room.until_ended(room.fork(source, "b"))

    assert (fork.status, room.output(fork)) == ("completed", {"b": {"e": "no"}})


def test_a_fork_of_a_retried_run(room, calls):
    calls.fails("b", Fatal("no"))
    source = room.finish(workflow({"a": probe("a"), "b": probe("b"), "c": probe("c")}, ["a b", "b c"])).pk
    room.retry(source)
    room.until_ended(source)
    calls.calls.clear()

    fork = room.until_ended(room.fork(source, "c"))

    assert (fork.status, dict(calls.calls)) == ("completed", {"c": 1})


def test_a_fork_of_a_run_that_still_goes_on(room, calls):
    source = room.start(workflow({"a": probe("a"), "w": {"type": "wait", "event": "e"}}, ["a w"]))
    room.work()

    fork = room.fork(source, "a")
    room.work()

    assert (room.status(source), room.status(fork), calls.calls["a"]) == ("waiting", "waiting", 2)
