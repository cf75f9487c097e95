"""Runs that run workflows."""

import pytest

from apps.common.errors import Fatal, Retryable
from apps.workflows.services import recovery
from apps.workflows.services.versions import publish_version
from tests.engine.documents import workflow
from tests.workflows.probes import probe

CHILD = {"inputs": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}, "name": "child"}


def child(nodes, edges=None, **others):
    return workflow(nodes, edges, **{"name": "child", **others})


def parent(**fields):
    return workflow({"c": {"type": "workflow", "workflow": "child", **fields}})


def test_the_output_of_a_child_run_is_the_nodes(room):
    room.save(child({"a": {"values": {"twice": "{{ inputs.n * 2 }}"}}}, outputs={"out": "{{ nodes.a.output.twice }}"}))

    run = room.finish(parent(input={"n": "{{ 20 + 1 }}"}))

    assert room.output(run) == {"c": {"out": 42}}
    (only,) = room.children(run.pk)
    assert (only.status, only.trigger, only.nesting, room.node(run.pk, "c").state["child"]) == (
        "completed", "run", 1, str(only.pk),
    )  # fmt: skip


def test_a_child_run_takes_the_published_version_or_the_one_that_is_named(room, in_scope):
    first = room.save(child({"a": {"values": {"v": 1}}}))
    room.save(child({"a": {"values": {"v": 2}}}))
    publish_version(first.workflow, 1)

    assert room.output(room.finish(parent())) == {"c": {"a": {"v": 1}}}
    assert room.output(room.finish(parent(version=2))) == {"c": {"a": {"v": 2}}}


def test_a_failed_child_run_fails_the_node_and_says_why(room, calls):
    calls.fails("a", Fatal("no luck"))
    room.save(child({"a": probe("a")}))

    run = room.finish(parent())

    error = room.error(run.pk)
    assert (run.status, error["code"]) == ("failed", "child_failed")
    assert "no luck" in error["message"]
    assert error["details"]["run"] == str(room.children(run.pk)[0].pk)


def test_a_cancelled_child_run_fails_the_node(room, calls):
    room.save(child({"a": {"type": "wait", "event": "x"}}))
    run = room.start(parent())
    room.work()

    room.cancel(room.children(run)[0].pk)

    assert (room.status(run), room.error(run)["code"]) == ("failed", "child_cancelled")


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"workflow": "nobody"}, "unknown_workflow", "nobody"),
        ({"version": 9}, "unknown_workflow", "version 9"),
        ({"input": {"n": "x"}}, "invalid_input", "/input/n"),
        ({"input": {}}, "invalid_input", "n"),
        ({"input": [1]}, "invalid_field", "'input'"),
    ],
)
def test_a_child_run_that_cannot_start_fails_the_node(room, fields, code, words):
    room.save(child({"a": {}}, inputs=CHILD["inputs"]))

    run = room.finish(parent(**{"input": {"n": 1}, **fields}))

    assert (run.status, room.error(run.pk)["code"]) == ("failed", code)
    assert words in room.error(run.pk)["message"]
    assert room.children(run.pk) == []


def test_a_child_run_is_tried_again_as_the_node_says_and_not_for_ever(room, calls):
    calls.fails("a", *[Retryable("no")] * 9)
    room.save(child({"a": probe("a")}))

    run = room.finish(parent(retry={"attempts": 3, "delay": 1}))

    assert (run.status, calls.calls["a"]) == ("failed", 3)
    assert [one.status for one in room.children(run.pk)] == ["failed"] * 3


def test_cancelling_reaches_children_and_their_children(room):
    room.save(workflow({"w": {"type": "wait", "event": "x"}}, name="grandchild"))
    room.save(child({"g": {"type": "workflow", "workflow": "grandchild"}}))
    run = room.start(parent())
    room.work()
    (only,) = room.children(run)
    (below,) = room.children(only.pk)

    room.cancel(run)

    assert [room.status(one) for one in (run, only.pk, below.pk)] == ["cancelled"] * 3


def test_the_failure_of_a_parent_reaches_its_children(room, calls):
    calls.fails("a", Fatal("no"))
    room.save(child({"w": {"type": "wait", "event": "x"}}))
    run = room.start(workflow({"c": {"type": "workflow", "workflow": "child"}, "a": probe("a")}))

    room.work()

    assert room.status(run) == "failed"
    assert room.children(run)[0].status in ("cancelled", "completed")


def test_a_child_run_that_takes_too_long_is_cancelled_with_its_node(room):
    room.save(child({"w": {"type": "wait", "event": "x"}}))
    run = room.start(parent(timeout=30))
    room.work()

    room.pass_time(31)

    assert (room.status(run), room.error(run)["code"]) == ("failed", "timeout")
    assert room.children(run)[0].status == "cancelled"


def test_a_child_run_is_cancelled_when_its_node_is_tried_again(room):
    room.save(child({"w": {"type": "wait", "event": "x"}}))
    run = room.start(parent(timeout=30, retry={"attempts": 2, "delay": 5, "jitter": False}))
    room.work()

    room.pass_time(31)
    assert [one.status for one in room.children(run)] == ["cancelled"]
    room.pass_time(5)
    room.work()

    assert [one.status for one in room.children(run)] == ["cancelled", "waiting"]


def test_the_run_runs_while_its_child_does(room):
    room.save(child({"w": {"type": "wait", "event": "x"}}))
    run = room.start(parent())

    room.work()

    assert (room.status(run), room.children(run)[0].status) == ("running", "waiting")


def test_a_workflow_that_runs_itself_ends_at_the_nesting_limit(room):
    room.save(child({"c": {"type": "workflow", "workflow": "child"}}))

    run = room.finish(parent())

    assert run.status == "failed"
    deepest, depth = run, 0
    while below := room.children(deepest.pk):
        deepest, depth = below[0], depth + 1
    assert (depth, room.error(deepest.pk)["code"]) == (10, "limit_nesting")


def test_a_map_runs_a_workflow_for_every_item(room, calls):
    room.save(child({"a": probe("a", input="{{ inputs.n }}")}, inputs=CHILD["inputs"]))
    document = workflow({"m": {"type": "map", "over": [1, 2, 3], "workflow": "child", "input": {"n": "{{ item }}"}}})

    run = room.finish(document)

    assert room.output(run) == {"m": [{"a": 1}, {"a": 2}, {"a": 3}]}
    assert len(room.children(run.pk)) == 3


def test_a_parent_that_nobody_told_hears_of_its_child(room, monkeypatch):
    room.save(child({"a": {}}))
    monkeypatch.setattr("apps.workflows.services.acting.report_to_parent", lambda node_run: None)
    run = room.start(parent())
    room.work()
    monkeypatch.undo()
    assert (room.status(run), room.children(run)[0].status) == ("running", "completed")

    recovery.hear_children()
    assert room.status(run) == "running"  # it has only just ended: somebody is telling, most likely
    room.grow_old(room.children(run)[0].pk)
    recovery.hear_children()

    assert room.status(run) == "completed"


# ---- retry ----------------------------------------------------------------------------------------


def test_a_retry_goes_on_inside_the_child_and_repeats_nothing(room, calls):
    calls.fails("b", Fatal("no"))
    room.save(child({"a": probe("a"), "b": probe("b"), "c": probe("c")}, ["a b", "b c"]))
    run = room.finish(workflow({"x": probe("x"), "y": {"type": "workflow", "workflow": "child"}}, ["x y"]))
    assert run.status == "failed"

    room.retry(run.pk)
    room.until_ended(run.pk)

    assert room.status(run.pk) == "completed"
    assert dict(calls.calls) == {"x": 1, "a": 1, "b": 2, "c": 1}
    assert [one.status for one in room.children(run.pk)] == ["completed"]


def test_a_retry_goes_on_inside_a_child_that_was_cancelled_with_its_parent(room, calls):
    calls.fails("x", Fatal("no"))
    room.save(child({"a": probe("a"), "w": {"type": "wait", "event": "go"}}, ["a w"]))
    run = room.start(workflow({"c": {"type": "workflow", "workflow": "child"}, "x": probe("x")}))
    late = room.claim(run, "x")
    room.work()
    room.bring(late, room.execute(late))
    assert (room.status(run), room.children(run)[0].status) == ("failed", "cancelled")

    room.retry(run)
    room.work()
    (only,) = room.children(run)
    assert only.status == "waiting"
    room.signal(only.pk, "go")
    room.until_ended(run)

    assert (room.status(run), calls.calls["a"]) == ("completed", 1)


def test_a_retry_goes_on_inside_the_children_of_a_map(room, calls):
    calls.fails("b", Fatal("no"))
    room.save(child({"a": probe("a"), "b": probe("b")}, ["a b"]))
    run = room.finish(workflow({"m": {"type": "map", "over": [1, 2], "max_parallel": 1, "workflow": "child"}}))
    assert run.status == "failed"

    room.retry(run.pk)
    room.until_ended(run.pk)

    assert (room.status(run.pk), dict(calls.calls)) == ("completed", {"a": 2, "b": 3})
