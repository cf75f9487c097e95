"""What the compiler finds when a workflow is saved."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from apps.workflows.engine.compiler import Needs, compile_definition
from apps.workflows.engine.errors import Issue
from apps.workflows.engine.spec import parse_definition
from tests.engine.documents import compiled, issues_of, only_issue, workflow

WRONG = {"type": "set", "values": {"x": "{{ nope }}"}}


@dataclass
class Names:
    """What exists beside the workflow."""

    agents: set[str] = field(default_factory=lambda: {"text_processor", "echo"})
    capabilities: set[str] = field(default_factory=lambda: {"sentiment_analysis"})
    tools: set[str] = field(default_factory=lambda: {"http.request"})
    models: set[str] = field(default_factory=lambda: {"demo/scripted"})
    workflows: set[str] = field(default_factory=lambda: {"child"})


def reading(expression: str, **others: Any) -> dict[str, Any]:
    """A workflow whose second node reads something."""
    return workflow({"first": {}, "second": {"values": {"x": expression}, "needs": "first"}}, **others)


def warnings_of(document: dict[str, Any]) -> list[Issue]:
    return list(compile_definition(parse_definition(document), Names()).warnings)


@pytest.mark.parametrize(
    ("edges", "pointer"),
    [([{"from": "a", "to": "bb"}], "/edges/0/to"), ([{"from": "aa", "to": "b"}], "/edges/0/from")],
)
def test_an_edge_to_an_unknown_node_is_an_issue(edges: list[Any], pointer: str) -> None:
    issue = only_issue(workflow({"a": {}, "b": {}}, edges))

    assert (issue.pointer, issue.code) == (pointer, "unknown_node")
    assert issue.fix in ("Did you mean 'a'?", "Did you mean 'b'?")


@pytest.mark.parametrize(("needs", "pointer"), [("on", "/nodes/two/needs"), (["one", "on"], "/nodes/two/needs/1")])
def test_a_need_of_an_unknown_node_is_an_issue(needs: Any, pointer: str) -> None:
    issue = only_issue(workflow({"one": {}, "two": {"needs": needs}}))

    assert (issue.pointer, issue.message, issue.fix) == (pointer, "There is no node 'on'.", "Did you mean 'one'?")


def test_a_node_that_no_entry_reaches_is_an_issue() -> None:
    issues = issues_of(workflow({"a": {}, "b": {}, "c": {}}, ["b c", "c b"]))

    assert [(issue.pointer, issue.code) for issue in issues] == [
        ("/nodes/b", "unreachable"),
        ("/nodes/c", "unreachable"),
    ]


@pytest.mark.parametrize(
    ("expression", "message", "fix"),
    [
        ("{{ nodes.frist.output }}", "there is no node 'frist'", "Did you mean 'first'?"),
        ("{{ nodes.first.otput }}", "a node has no 'otput'", "Did you mean 'nodes.first.output.otput'?"),
        ("{{ context.total }}", "no node saves a context key 'total'", "Known: none."),
        ("{{ run.ident }}", "a run has no 'ident'", "Known: 'id', 'started_at'."),
        ("{{ inptus.x }}", "There is no name 'inptus' here", "Did you mean 'inputs'?"),
        ("{{ output.x }}", "There is no name 'output' here", None),
        ("{{ 1 + }}", "Syntax error", None),
        ("{{ inputs.x", "is not closed", None),
    ],
)
def test_a_name_that_does_not_exist_is_an_issue(expression: str, message: str, fix: str | None) -> None:
    issue = only_issue(reading(expression))

    assert issue.pointer == "/nodes/second/values/x"
    assert message in issue.message
    assert fix is None or issue.fix == fix


def test_the_issue_names_the_expression() -> None:
    assert only_issue(reading("{{ nodes.frist.output }}")).message.startswith("In 'nodes.frist.output': ")


@pytest.mark.parametrize(
    "expression",
    [
        "{{ has(context.total) ? context.total : 0 }}",
        "{{ context.?total.orValue(0) }}",
        "{{ nodes.?other.?output.orValue(1) }}",
        "{{ visit }}",
        "{{ run.id }} at {{ run.started_at }}",
        "{{ nodes.first.status }} {{ nodes.first.visit }} {{ nodes.first.error }}",
        "{{ inputs.anything }}",
    ],
)
def test_a_name_that_may_be_read_is_none(expression: str) -> None:
    assert issues_of(reading(expression)) == []


def test_declared_inputs_are_the_only_ones() -> None:
    inputs = {"type": "object", "properties": {"text": {}}}

    assert only_issue(reading("{{ inputs.txt }}", inputs=inputs)).fix == "Did you mean 'text'?"
    assert issues_of(reading("{{ inputs.text }}", inputs=inputs)) == []


@pytest.mark.parametrize(
    "open_ended", [{"additionalProperties": True}, {"patternProperties": {"^x": {}}}, {"$ref": "#/$defs/a"}]
)
def test_a_schema_may_leave_the_input_names_open(open_ended: dict[str, Any]) -> None:
    inputs = {"type": "object", "properties": {"text": {}}, "$defs": {"a": {}}, **open_ended}

    assert issues_of(reading("{{ inputs.other }}", inputs=inputs)) == []


def test_a_saved_key_can_be_read_anywhere() -> None:
    nodes = {"a": {"save": {"k": "{{ output.x }}"}}, "b": {"values": {"x": "{{ context.k }}"}, "needs": "a"}}

    assert issues_of(workflow(nodes, outputs={"k": "{{ context.k }}"})) == []


def test_a_map_gives_its_item_to_its_inner_node_only() -> None:
    inner = {"type": "set", "values": {"x": "{{ part.y + index }}"}, "save": {"k": "{{ part }}"}}
    document = workflow({"m": {"type": "map", "over": "{{ inputs.l }}", "as": "part", "node": inner}})
    outside = workflow({"m": {"type": "map", "over": "{{ part }}", "as": "part", "node": inner}})

    assert issues_of(document) == []
    assert only_issue(outside).pointer == "/nodes/m/over"


def test_the_input_of_a_map_over_a_workflow_may_read_the_item() -> None:
    document = workflow({"m": {"type": "map", "over": [1], "workflow": "child", "input": {"x": "{{ item }}"}}})

    assert issues_of(document) == []


def test_a_node_with_a_dash_is_named_in_brackets() -> None:
    document = workflow({"a-b": {}, "c": {"values": {"x": "{{ nodes.a-b.output }}"}, "needs": "a-b"}})

    assert only_issue(document).fix == "Write nodes['a-b'] for a name with a dash."


@pytest.mark.parametrize("when", ["output.x > 1", "{{ output.x > 1 }}", "error == null || visit < 3"])
def test_a_condition_reads_what_its_node_came_to(when: str) -> None:
    assert issues_of(workflow({"a": {}, "b": {}}, [{"from": "a", "to": "b", "when": when}])) == []


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        (workflow({"a": {}, "b": {}}, [{"from": "a", "to": "b", "when": "otput.x"}]), "/edges/0/when"),
        (workflow({"a": {}, "b": {"needs": "a", "when": "otput.x"}}), "/nodes/b/when"),
        (workflow({"a": {"save": {"k": "{{ otput }}"}}}), "/nodes/a/save/k"),
        (workflow({"a": {"type": "fail", "message": "{{ nope }}"}}), "/nodes/a/message"),
        (workflow({"a": {}}, outputs={"r": ["{{ nope }}"]}), "/outputs/r/0"),
        (workflow({"m": {"type": "map", "over": [1], "node": WRONG}}), "/nodes/m/node/values/x"),
    ],
)  # fmt: skip
def test_every_expression_is_checked_in_its_place(document: dict[str, Any], pointer: str) -> None:
    assert only_issue(document).pointer == pointer


@pytest.mark.parametrize(
    ("node", "pointer", "code", "fix"),
    [
        ({"type": "agent", "agent": "text_procesor"}, "/nodes/a/agent", "unknown_agent", "text_processor"),
        (
            {"type": "agent", "capability": "sentiment"},
            "/nodes/a/capability",
            "unknown_capability",
            "sentiment_analysis",
        ),
        ({"type": "tool", "tool": "http.reqest"}, "/nodes/a/tool", "unknown_tool", "http.request"),
        ({"type": "map", "over": [1], "node": {"type": "tool", "tool": "x"}}, "/nodes/a/node/tool", "unknown_tool", ""),
    ],
)
def test_what_is_not_in_the_catalogue_is_an_issue(node: Any, pointer: str, code: str, fix: str) -> None:
    issue = only_issue(workflow({"a": node}), Names())

    assert (issue.pointer, issue.code) == (pointer, code)
    assert fix in (issue.fix or "")


def test_without_a_catalogue_such_names_are_not_checked() -> None:
    assert issues_of(workflow({"a": {"type": "agent", "agent": "gone"}})) == []


def test_a_model_that_does_not_exist_yet_is_a_warning() -> None:
    (warning,) = warnings_of(workflow({"a": {"type": "agent", "agent": "echo", "model": "demo/scriptd"}}))

    assert (warning.pointer, warning.code) == ("/nodes/a/model", "unknown_model")
    assert warning.fix == "Did you mean 'demo/scripted'?"


def test_a_workflow_that_does_not_exist_yet_is_a_warning() -> None:
    (warning,) = warnings_of(workflow({"a": {"type": "workflow", "workflow": "chld"}}))

    assert (warning.pointer, warning.code) == ("/nodes/a/workflow", "unknown_workflow")
    assert warning.fix == "Did you mean 'child'?"


def test_a_workflow_may_run_itself() -> None:
    assert warnings_of(workflow({"a": {"type": "workflow", "workflow": "test"}})) == []


def test_reading_a_node_that_nothing_puts_before_is_a_warning() -> None:
    nodes = {"a": {}, "b": {"values": {"x": "{{ nodes.a.status }}"}}}

    (warning,) = warnings_of(workflow(nodes))

    assert (warning.pointer, warning.code) == ("/nodes/b", "reads_ahead")
    assert "no path leads from there to it" in warning.message


def test_reading_a_node_of_the_same_loop_is_none() -> None:
    nodes = {"a": {"values": {"x": "{{ nodes.b.visit }}"}}, "b": {}}

    assert warnings_of(workflow(nodes, ["a b", {"from": "b", "to": "a", "max": 2}])) == []


@pytest.mark.parametrize(
    "schema", [{"type": "objekt"}, {"$ref": "https://example.com/x"}, {"$ref": "#"}, {"properties": []}]
)
def test_a_schema_that_is_none_is_an_issue(schema: dict[str, Any]) -> None:
    approval = {"type": "approval", "message": "?", "form": schema}

    assert only_issue(workflow({"a": {}}, inputs=schema)).pointer == "/inputs"
    assert only_issue(workflow({"a": approval})).pointer == "/nodes/a/form"


def test_the_edges_of_needs_come_after_those_that_are_written() -> None:
    graph = compiled({"a": {}, "b": {"needs": ["a"]}, "c": {"needs": "b"}}, ["a c"]).graph

    assert [(edge.source, edge.target) for edge in graph.edges] == [(0, 2), (0, 1), (1, 2)]


def test_needs_say_what_has_to_be_fetched_before_a_node_starts_and_when_it_ends() -> None:
    both = compiled(
        {
            "a": {"values": {"x": "{{ inputs.n + 1 }}"}},
            "b": {
                "values": {"x": "{{ nodes.a.output.x }}"},
                "save": {"k": "{{ context.?k.orValue(0) + 1 }}"},
                "needs": "a",
            },
        },
        [{"from": "b", "to": "b", "when": 'nodes["a"].visit < 2'}],
    )

    node = both.node("b")

    assert node.starting_needs == Needs(frozenset({"a"}), frozenset())
    assert node.ending_needs == Needs(frozenset({"a"}), frozenset({"k"}))


def test_an_expression_that_takes_all_nodes_needs_all() -> None:
    node = compiled({"a": {"values": {"x": "{{ nodes }}"}}}).node("a")

    assert node.starting_needs.nodes is None


def test_a_map_needs_what_its_items_need() -> None:
    inner = {"type": "set", "values": {"x": "{{ nodes.a.output }}"}}

    node = compiled({"a": {}, "m": {"type": "map", "over": [1], "node": inner, "needs": "a"}}).node("m")

    assert node.starting_needs == Needs(frozenset({"a"}))


def test_without_outputs_the_end_nodes_are_needed() -> None:
    assert compiled({"a": {}, "b": {"needs": "a"}, "c": {"needs": "a"}}).output_needs == Needs(frozenset({"b", "c"}))
