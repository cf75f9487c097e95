"""Large values, runaway runs and expressions that have no value: clean failures with names."""

import itertools
import json

import pytest
from django.test import override_settings

from apps.workflows.models import Blob
from tests.engine.documents import workflow
from tests.workflows.probes import probe

BIG = 70_000
TOO_BIG = 17_000_000


# ---- values ---------------------------------------------------------------------------------------


def test_a_large_value_is_stored_once_however_often_it_is_used(room, calls, in_scope):
    calls["a"] = lambda task, ctx: "x" * BIG
    nodes = {"a": probe("a", save={"k": "{{ output }}"}), "b": probe("b", input="{{ nodes.a.output }}")}

    run = room.finish(workflow(nodes, ["a b"], outputs={"whole": "{{ nodes.b.output }}"}))

    assert room.output(run) == {"whole": "x" * BIG}
    assert (room.node_output(run.pk, "a"), room.node_input(run.pk, "b")) == ("x" * BIG, "x" * BIG)
    assert Blob.objects.count() == 2  # the text, and the object around it
    assert room.node(run.pk, "a").output.startswith("@")


def test_a_small_value_is_stored_in_place(room, calls, in_scope):
    room.finish(workflow({"a": {"values": {"v": "x" * 1000}}}))

    assert not Blob.objects.exists()


def test_a_text_that_looks_like_a_reference_is_a_text(room, calls):
    calls["a"] = lambda task, ctx: "@" + "0" * 64

    assert room.output(room.finish(workflow({"a": probe("a")}))) == {"a": "@" + "0" * 64}


def test_an_output_that_is_too_large_fails_its_node(room, calls):
    calls["a"] = lambda task, ctx: "x" * TOO_BIG

    run = room.finish(workflow({"a": probe("a")}))

    assert (run.status, room.error(run.pk)["code"], room.error(run.pk)["node"]) == ("failed", "limit_value_size", "a")
    assert "17,000,002" in room.error(run.pk)["message"]


def test_an_error_edge_handles_it(room, calls):
    calls["a"] = lambda task, ctx: "x" * TOO_BIG

    run = room.finish(workflow({"a": probe("a"), "b": {}}, [{"from": "a", "to": "b", "on": "error"}]))

    assert run.status == "completed"


TWICE = ["{{ nodes.a.output }}"] * 2


@pytest.mark.parametrize(
    ("nodes", "others"),
    [
        ({"b": {"values": {"v": TWICE}}}, {}),
        ({"b": {"save": {"k": TWICE}}}, {}),
        ({"b": probe("b", input=TWICE)}, {}),
        ({"b": {"type": "workflow", "workflow": "child", "input": {"v": TWICE}}}, {}),
        ({"b": {"type": "approval", "message": "?", "input": TWICE}, "c": {}}, {"form_only": True}),
        ({}, {"outputs": {"v": TWICE}}),
    ],
    ids=["values", "save", "input", "child", "approval", "outputs"],
)
def test_whatever_becomes_too_large_on_the_way_ends_clean(room, calls, nodes, others):
    room.save(workflow({"x": {}}, name="child"))
    calls["a"] = lambda task, ctx: "x" * (TOO_BIG // 2)
    form_only = others.pop("form_only", False)
    edges = ["a b"] if "b" in nodes else []
    nodes = {name: node for name, node in nodes.items() if name != "c"}

    run = room.start(workflow({"a": probe("a"), **nodes}, edges, **others))
    room.work()

    if form_only:
        assert room.status(run) in ("waiting", "failed")
    else:
        assert room.status(run) == "failed"
        assert room.error(run)["code"].startswith(("limit_", "expression_", "too_"))


# ---- runs that got out of hand --------------------------------------------------------------------


@override_settings(ORCHESTRA_LIMITS={"visits": 50})
def test_a_run_ends_at_its_limit_of_visits(room):
    edges = [{"from": "a", "to": "b"}, {"from": "b", "to": "a", "max": 1_000_000}]
    run = room.finish(workflow({"s": {}, "a": {}, "b": {}}, ["s a", *edges]))

    assert (run.status, room.error(run.pk)["code"], run.visits) == ("failed", "limit_nodes", 50)


@override_settings(ORCHESTRA_LIMITS={"items": 10})
def test_a_map_with_too_many_items_fails(room):
    node = {"type": "map", "over": "{{ inputs.items }}", "node": {"type": "set", "values": {}}}

    assert room.finish(workflow({"m": node}), {"items": [0] * 10}).status == "completed"
    run = room.finish(workflow({"m": node}), {"items": [0] * 11})

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "limit_items")


def test_a_cycle_without_a_bound_ends_at_the_safety_bound(room):
    run = room.finish(workflow({"s": {}, "a": {}}, ["s a", "a a"]))

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "loop_limit")
    assert room.visits(run.pk)["a"] == 101
    assert "'max'" in room.error(run.pk)["message"]


def test_a_chain_of_a_thousand_nodes(room):
    names = [f"n{number}" for number in range(1000)]
    edges = [f"{one} {other}" for one, other in itertools.pairwise(names)]

    run = room.finish(workflow({name: {"values": {"v": 1}} for name in names}, edges))

    assert (run.status, run.visits) == ("completed", 1000)


def test_a_route_that_leads_nowhere_names_the_ways_there_are(room, calls):
    calls["a"] = lambda task, ctx: {"route": "left"}
    run = room.finish(workflow({"a": probe("a"), "b": {}}, [{"from": "a", "to": "b", "route": "right"}]))

    assert (run.status, room.error(run.pk)["code"]) == ("failed", "unknown_route")
    assert "'left'" in room.error(run.pk)["message"]
    assert "'right'" in room.error(run.pk)["message"]


# ---- expressions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "edges", "node", "parts"),
    [
        (
            {"b": {"values": {"deep": {"x": "{{ nodes.a.output.nam }}"}}}},
            ["a b"],
            "b",
            ["nodes.a.output.nam", "'name'"],
        ),
        ({"b": probe("b", input={"q": "{{ nodes.a.output.name + 1 }}"})}, ["a b"], "b", ["nodes.a.output.name + 1"]),
        ({"b": {}}, [{"from": "a", "to": "b", "when": "output.count > 3"}], "a", ["output.count > 3"]),
        ({"b": {}}, [{"from": "a", "to": "b", "when": "output.name"}], "a", ["output.name", "true or false"]),
        ({"b": {"save": {"k": "{{ output.x }}"}}}, ["a b"], "b", ["output.x"]),
        ({"b": {"type": "map", "over": "{{ nodes.a.output.list }}", "node": {"type": "set"}}}, ["a b"], "b", ["list"]),
        ({"b": {"type": "wait", "seconds": "{{ nodes.a.output.s }}"}}, ["a b"], "b", ["nodes.a.output.s"]),
        ({"b": {"type": "fail", "message": "{{ nodes.a.output.why }}"}}, ["a b"], "b", ["nodes.a.output.why"]),
    ],
)
def test_an_expression_without_a_value_fails_its_node_and_names_the_place(room, calls, nodes, edges, node, parts):
    calls["a"] = lambda task, ctx: {"name": "x"}

    run = room.finish(workflow({"a": probe("a"), **nodes}, edges))

    error = room.error(run.pk)
    assert (run.status, error["node"]) == ("failed", node)
    assert all(part in error["message"] for part in parts), error


def test_it_names_the_field(room, calls):
    calls["a"] = lambda task, ctx: {}

    run = room.finish(workflow({"a": probe("a"), "b": {"values": {"deep": {"x": "{{ nodes.a.output.y }}"}}}}, ["a b"]))

    assert "values" in room.error(run.pk)["message"]


def test_an_output_of_the_run_without_a_value_fails_the_run(room, calls):
    run = room.finish(workflow({"a": probe("a")}, outputs={"v": "{{ nodes.a.output.nothing }}"}))

    assert run.status == "failed"
    assert "nodes.a.output.nothing" in room.error(run.pk)["message"]


def test_an_expression_that_would_not_end_fails_its_node(room):
    run = room.finish(
        workflow({"a": {"values": {"v": "{{ inputs.l.map(a, inputs.l.map(b, a + b)) }}"}}}), {"l": list(range(3000))}
    )

    assert run.status == "failed"


@pytest.mark.parametrize("expression", ["0.0 / 0.0", "1.0 / 0.0", "-1.0 / 0.0"])
@pytest.mark.parametrize(
    "node",
    [
        {"type": "set", "values": {"v": "{{ EXPR }}"}},
        {"type": "agent", "agent": "probe", "input": "{{ EXPR }}"},
        {"type": "map", "over": ["{{ EXPR }}"], "node": {"type": "set"}},
        {"type": "map", "over": "{{ [EXPR] }}", "node": {"type": "approval", "message": "?"}},
        {"type": "workflow", "workflow": "child", "input": {"v": "{{ EXPR }}"}},
        {"type": "approval", "message": "?", "input": "{{ EXPR }}"},
        {"type": "wait", "seconds": "{{ EXPR }}"},
        {"type": "set", "values": {}, "save": {"k": "{{ EXPR }}"}},
    ],
    ids=["set", "agent", "map", "map of approvals", "workflow", "approval", "wait", "save"],
)
def test_a_number_that_is_none_ends_in_a_clean_failure(room, calls, node, expression):
    room.save(workflow({"x": {}}, name="child"))
    written = json.loads(json.dumps(node).replace("EXPR", expression))

    run = room.finish(workflow({"a": written}))

    assert run.status == "failed", room.output(run)
    assert room.error(run.pk)["message"]
