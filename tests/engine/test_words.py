"""Whose words a node is given, as far as the definition says that."""

from typing import Any

import pytest

from tests.engine.documents import compiled

AGENT = {"type": "agent", "agent": "echo"}
TOOL = {"type": "tool", "tool": "demo.search"}


def is_given_others_words(expression: str, *, inputs: bool = False, **nodes: Any) -> bool:
    """Whether a node with this input is, beside the others."""
    document = {**nodes, "last": {**AGENT, "input": {"task": f"Do {expression}"}, "needs": list(nodes)}}
    return compiled(document).is_given_others_words("last", inputs=inputs)


@pytest.mark.parametrize(
    "node",
    [
        AGENT,
        TOOL,
        {"type": "workflow", "workflow": "other"},
        {"type": "wait", "event": "news"},
        {"type": "map", "over": [1], "node": TOOL},
    ],
    ids=["agent", "tool", "workflow", "event", "map"],
)
def test_what_a_node_gives_that_does_something_is_others_words(node: Any) -> None:
    assert is_given_others_words("{{ nodes.a.output }}", a=node)
    assert is_given_others_words("{{ has(nodes.a.error) ? nodes.a.error.message : '' }}", a=node)
    assert is_given_others_words("{{ nodes }}", a=node)
    assert not is_given_others_words("{{ nodes.a.status }} {{ nodes.a.visit }}", a=node)
    assert not is_given_others_words("it", a=node)


@pytest.mark.parametrize(
    "node",
    [
        {"values": {"x": "{{ inputs.x }}"}},
        {"type": "approval", "message": "Well?"},
        {"type": "wait", "seconds": 1},
        {"type": "map", "over": [1], "node": {"type": "set", "values": {"x": "{{ item }}"}}},
    ],
    ids=["set", "approval", "time", "map"],
)
def test_what_is_computed_and_what_a_person_decides_is_ours(node: Any) -> None:
    assert not is_given_others_words("{{ nodes.a.output }}", a=node)


def test_a_decision_about_others_words_is_a_person_s_own() -> None:
    asked = {"type": "approval", "message": "{{ nodes.a.output }}", "needs": "a"}

    assert not is_given_others_words("{{ nodes.b.output.comment }}", a=TOOL, b=asked)


def test_what_is_computed_of_others_words_is_theirs_however_far_away() -> None:
    steps = {f"s{n}": {"values": {"x": f"{{{{ nodes.s{n + 1}.output.x }}}}"}} for n in range(50)}
    end = {"s50": {"values": {"x": "{{ nodes.a.output }}"}}}

    assert is_given_others_words("{{ nodes.s0.output.x }}", **steps, **end, a=TOOL)
    assert not is_given_others_words("{{ nodes.s0.output.x }}", **steps, s50={"values": {"x": 1}}, a=TOOL)


def test_items_are_of_whom_their_list_is() -> None:
    body = {**AGENT, "input": {"task": "{{ item }}"}}
    theirs = {"type": "map", "over": "{{ nodes.a.output }}", "node": body, "needs": "a"}
    ours = {"type": "map", "over": ["x"], "node": body}
    found = compiled({"a": TOOL, "theirs": theirs, "ours": ours})

    assert found.is_given_others_words("theirs", inputs=False)
    assert not found.is_given_others_words("ours", inputs=True)


def test_a_key_of_the_context_is_of_whoever_may_have_written_it() -> None:
    nodes = {
        "a": {**TOOL, "save": {"read": "{{ output }}", "count": 1}},
        "b": {"values": {}, "save": {"shared": "{{ context.read }}", "own": "{{ output }}"}},
        "c": {"type": "map", "over": [1], "node": {**AGENT, "save": {"said": "{{ output }}"}}},
    }

    words = {key: is_given_others_words(f"{{{{ context.{key} }}}}", **nodes) for key in ("read", "shared", "said")}
    assert words == {"read": True, "shared": True, "said": True}
    assert is_given_others_words("{{ context }}", **nodes)
    assert not is_given_others_words("{{ context.own }} {{ context.count }}", **nodes)


def test_the_input_of_a_run_is_of_whoever_started_it() -> None:
    computed = {"values": {"x": "{{ inputs.x }}"}}

    for expression in ("{{ inputs }}", "{{ inputs.x }}", "{{ nodes.a.output.x }}"):
        assert is_given_others_words(expression, inputs=True, a=computed)
        assert not is_given_others_words(expression, inputs=False, a=computed)
