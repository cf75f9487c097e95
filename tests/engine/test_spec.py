"""What a definition may look like, and what is said of one that does not."""

from typing import Any

import pytest

from apps.workflows.engine.errors import DefinitionError, Issue
from apps.workflows.engine.schemas import check
from apps.workflows.engine.spec import (
    MAX_EDGES,
    MAX_NODES,
    AgentNode,
    MapNode,
    definition_schema,
    node_types,
    parse_definition,
)
from tests.engine.documents import workflow


def problems(document: Any) -> list[Issue]:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(document)
    return list(caught.value.issues)


def node(**fields: Any) -> dict[str, Any]:
    return workflow({"a": fields})


def mapped(**fields: Any) -> dict[str, Any]:
    return node(type="map", over=[1], node=fields)


def edge(**fields: Any) -> dict[str, Any]:
    return workflow({"a": {}}, [{"from": "a", "to": "a", **fields}])


def key(**fields: Any) -> dict[str, Any]:
    return workflow({"a": {}}, context={"k": fields})


@pytest.mark.parametrize(
    ("document", "pointer", "code", "fix"),
    [
        ([], "", "not_an_object", None),
        ({"name": "x"}, "/nodes", "no_nodes", None),
        ({"name": "x", "nodes": {}}, "/nodes", "no_nodes", None),
        ({"nodes": {"a": {"type": "set"}}}, "/name", "missing", None),
        ({"name": "x", "nodes": {"a": 5}}, "/nodes/a", "not_an_object", None),
        (workflow({}, nmae="y"), "/nmae", "unknown_field", "Did you mean 'name'?"),
        ({"name": "x", "nodes": {"a": {}}}, "/nodes/a", "missing", None),
        (node(type="sett"), "/nodes/a/type", "unknown_node_type", "Did you mean 'set'?"),
        (node(type=["set"]), "/nodes/a/type", "unknown_node_type", None),
        (node(type="set", vlaues={}), "/nodes/a/vlaues", "unknown_field", "Did you mean 'values'?"),
        (node(type="set", retry={"atempts": 2}), "/nodes/a/retry/atempts", "unknown_field", "Did you mean 'attempts'?"),
        (node(type="set", retry={"attempts": 0}), "/nodes/a/retry/attempts", "greater_than_equal", None),
        (node(type="set", retry={"delay": "soon"}), "/nodes/a/retry/delay", "invalid", None),
        (node(type="set", timeout="-1s"), "/nodes/a/timeout", "invalid", None),
        (node(type="set", needs=3), "/nodes/a/needs", "list_type", None),
        (node(type="set", needs=["b", 4]), "/nodes/a/needs/1", "string_type", None),
        (node(type="set", when="true"), "/nodes/a", "invalid", None),
        (node(type="set", save={"bad key": 1}), "/nodes/a/save/bad key", "string_pattern_mismatch", None),
        (node(type="set", on_error="ignore"), "/nodes/a/on_error", "literal_error", None),
        (node(type="agent"), "/nodes/a", "invalid", None),
        (node(type="agent", agent="x", capability="y"), "/nodes/a", "invalid", None),
        (node(type="tool"), "/nodes/a/tool", "missing", None),
        (node(type="wait"), "/nodes/a", "invalid", None),
        (node(type="wait", seconds=1, event="x"), "/nodes/a", "invalid", None),
        (node(type="wait", seconds="soon"), "/nodes/a/seconds", "invalid", None),
        (node(type="wait", seconds=-1.0), "/nodes/a/seconds", "invalid", None),
        (node(type="map", over=[1]), "/nodes/a", "invalid", None),
        (mapped(type="st"), "/nodes/a/node/type", "unknown_node_type", "Did you mean 'set'?"),
        (mapped(type="set", x=1), "/nodes/a/node/x", "unknown_field", None),
        (node(type="approval", message="?", assignees=5), "/nodes/a/assignees", "list_type", None),
        (workflow({"a": {}}, [{"from": "a"}]), "/edges/0/to", "missing", None),
        (edge(wen="x"), "/edges/0/wen", "unknown_field", "Did you mean 'when'?"),
        (edge(max=0), "/edges/0/max", "greater_than_equal", None),
        (key(reducr="add"), "/context/k/reducr", "unknown_field", "Did you mean 'reducer'?"),
        (key(reducer="add", initial=[]), "/context/k", "invalid", None),
        (workflow({"-a": {}}), "/nodes/-a", "bad_node_id", None),
        (workflow({"a/b~c": {}}), "/nodes/a~1b~0c", "bad_node_id", None),
    ],
)  # fmt: skip
def test_a_mistake_is_found_with_its_place(document: Any, pointer: str, code: str, fix: str | None) -> None:
    issue = next(issue for issue in problems(document) if issue.pointer == pointer)

    assert issue.code == code
    assert fix is None or issue.fix == fix
    assert issue.message[0].isupper() or issue.message[0] == "'"
    assert issue.message.endswith(".")


def test_all_mistakes_are_found_at_once() -> None:
    document = workflow({"a": {"valus": {}}, "b": {"type": "sett"}}, [{"from": "a"}])

    assert [issue.pointer for issue in problems(document)] == ["/edges/0/to", "/nodes/a/valus", "/nodes/b/type"]


def test_one_place_is_named_once() -> None:
    assert len(problems(node(type="set", needs=3))) == 1


def test_no_more_than_fifty_mistakes_are_told() -> None:
    assert len(problems(workflow({f"n{number}": {"type": "x"} for number in range(500)}))) == 50


def test_too_many_nodes_are_refused() -> None:
    (issue,) = problems(workflow({f"n{number}": {} for number in range(MAX_NODES + 1)}))

    assert (issue.pointer, issue.code) == ("/nodes", "too_many_nodes")
    assert issue.message == "A workflow has at most 10,000 nodes; this one has 10,001."


def test_edges_count_however_they_are_written() -> None:
    half = MAX_EDGES // 2
    edges = [{"from": "a", "to": "b"}] * half

    (issue,) = problems(workflow({"a": {}, "b": {"needs": ["a"] * (half + 1)}}, edges))

    assert (issue.pointer, issue.code) == ("/edges", "too_many_edges")


@pytest.mark.parametrize("name", ["a", "A1", "_x", "1", "task-1", "a" * 128])
def test_letters_digits_dashes_and_underscores_make_a_node_id(name: str) -> None:
    assert list(parse_definition(workflow({name: {}})).nodes) == [name]


def test_needs_may_be_one_name_or_a_list() -> None:
    nodes = parse_definition(workflow({"a": {}, "b": {"needs": "a"}, "c": {"needs": ["a", "b"]}})).nodes

    assert [nodes[name].needed for name in "abc"] == [[], ["a"], ["a", "b"]]


def test_a_map_of_a_workflow_runs_a_workflow_node_for_each_item() -> None:
    map_node = parse_definition(node(type="map", over=[1], workflow="child", input={"x": 1})).nodes["a"]

    assert isinstance(map_node, MapNode)
    assert (map_node.body.type, map_node.body.input) == ("workflow", {"x": 1})


def test_durations_are_seconds_once_read() -> None:
    definition = parse_definition(node(type="agent", agent="x", timeout="1m30s", retry={"delay": "500ms"}))

    agent = definition.nodes["a"]
    assert isinstance(agent, AgentNode)
    assert (agent.timeout, agent.retry and agent.retry.policy().delay) == (90, 0.5)


def test_every_node_type_of_the_format_is_there() -> None:
    assert set(node_types()) == {"agent", "tool", "set", "map", "workflow", "approval", "wait", "fail"}


@pytest.mark.parametrize(
    "document",
    [
        workflow({"a": {"values": {"x": 1}, "save": {"k": "{{ output.x }}"}}, "b": {"needs": "a", "when": "true"}}),
        workflow({"m": {"type": "map", "over": [1], "as": "thing", "node": {"type": "set"}}}),
        workflow({"w": {"type": "wait", "seconds": 5}, "v": {"type": "wait", "until": "2026-01-01T00:00:00Z"}}),
        workflow({"p": {"type": "approval", "message": "ok?", "form": {"type": "object"}, "timeout": "1d"}}),
    ],
)
def test_what_the_models_accept_fits_the_json_schema(document: dict[str, Any]) -> None:
    parse_definition(document)

    assert check(document, definition_schema()) == []


def test_the_json_schema_refuses_what_the_models_refuse() -> None:
    assert check(workflow({"a": {"valus": 1}}), definition_schema())
    assert check({"name": "x", "nodes": {}}, definition_schema())
