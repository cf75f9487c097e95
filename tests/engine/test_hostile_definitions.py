"""Definitions made to hurt: each is an answer for little work."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.dialects import load
from apps.workflows.engine.errors import DefinitionError
from apps.workflows.engine.marking import Completion, advance, begin
from tests.engine.documents import compiled, workflow
from tests.engine.test_compiler import Names

# Of the processor. On a machine that does nothing else each takes less than two, and on a busy one several times as
# many; one of these once took thirty-four.
SECONDS = 20


def nest(depth: int, around: Callable[[Any], Any], inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = around(inner)
    return inner


def chain(length: int) -> list[str]:
    return [f"n{number} n{number + 1}" for number in range(length - 1)]


def circle(of: str, names: list[str]) -> list[dict[str, Any]]:
    return [{"name": name, of: "echo", "depends_on": [names[number - 1]]} for number, name in enumerate(names)]


LONG = "n" * 100
HOSTILE: dict[str, Callable[[], Any]] = {
    "100,000 nodes": lambda: workflow({f"n{n}": {} for n in range(100_000)}),
    "1,000,000 edges": lambda: workflow({"a": {}}, [{"from": "a", "to": "a"}] * 1_000_000),
    "1,000,000 needs": lambda: workflow({f"n{n}": {"needs": ["n0"] * 1_000} for n in range(1_000)}),
    "50,000 unknown edges": lambda: workflow({f"n{n}": {} for n in range(9_999)}, ["nope n_1"] * 50_000),
    "long unknown names": lambda: workflow({f"{LONG}{n}": {} for n in range(9_000)}, [f"{LONG}x {LONG}y"] * 9_000),
    "50,000 unknown fields": lambda: workflow({"a": {}}, [{"form": "a", "ot": "a"}] * 50_000),
    "10,000 wrong nodes": lambda: workflow({f"n{n}": {"valeus": {}} for n in range(10_000)}),
    "10,000 unreachable nodes": lambda: workflow(
        {f"n{n}": {} for n in range(10_000)}, [*chain(10_000)[1:], {"from": "n9999", "to": "n1"}]
    ),
    "deep values": lambda: workflow({"a": {"values": nest(99, lambda inner: {"x": inner})}}),
    "very deep lists": lambda: workflow({"a": {"values": {"x": nest(900, lambda inner: [inner])}}}),
    "a long expression": lambda: workflow({"a": {"values": {"x": "{{ " + "1" * 4_001 + " }}"}}}),
    "expressions of 8 MB": lambda: workflow(
        {f"n{n}": {"values": {"x": "{{ " + f"inputs.a == {n} && " * 180 + "true }}"}} for n in range(2_000)}
    ),
    "150,000 expressions in one node": lambda: workflow(
        {"a": {"values": {"x": [f"{{{{ {n} + inputs.a }}}}" for n in range(150_000)]}}}
    ),
    "150,000 wrong names": lambda: workflow(
        {"a": {"values": {"x": [f"{{{{ nodes.b{n}.output }}}}" for n in range(150_000)]}}}
    ),
    "a text of open braces": lambda: workflow({"a": {"values": {"x": "{{" * 500_000}}}),
    "a text of open quotes": lambda: workflow({"a": {"values": {"x": "{{ '" * 300_000}}}),
    "a schema that refers to itself": lambda: workflow({"a": {}}, inputs={"$ref": "#"}),
    "a schema that multiplies": lambda: workflow(
        {"a": {}},
        inputs={
            "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)},
            "$ref": "#/$defs/a0",
        },
    ),
    "a deep schema": lambda: workflow({"a": {}}, inputs=nest(900, lambda inner: {"items": inner}, {"type": "x"})),
    "a map in a map in a map": lambda: workflow(
        {"a": nest(90, lambda inner: {"type": "map", "over": [1], "node": inner}, {"type": "set"})}
    ),
    "100,000 steps": lambda: {"name": "x", "steps": [{"name": f"s{n}", "agent_type": "echo"} for n in range(100_000)]},
    "10,000 steps in a circle": lambda: {"name": "x", "steps": circle("agent_type", [f"s{n}" for n in range(10_000)])},
    "steps that depend on all": lambda: {
        "name": "x",
        "steps": [
            {"name": f"s{n}", "agent_type": "echo", "depends_on": [f"s{m}" for m in range(n)]} for n in range(500)
        ],
    },
    "10,000 unknown dependencies": lambda: {
        "name": "x",
        "steps": [{"name": f"{LONG}{n}", "agent_type": "echo", "depends_on": [f"{LONG}x"]} for n in range(10_000)],
    },
    "10,000 tasks in a circle": lambda: {
        "workflow_type": "graph",
        "tasks": [
            {"agent_id": f"s{n}", "agent_role": "echo", "depends_on": [f"s{(n + 1) % 10_000}"]} for n in range(10_000)
        ],
    },
    "5,000 routers to 5,000 nodes": lambda: {
        "name": "x",
        "start_at": "r0",
        "nodes": {f"r{n}": {"class": "R"} for n in range(5_000)}
        | {f"e{n}": {"class": "EndNode"} for n in range(5_000)},
    },
    "100,000 states": lambda: {
        "name": "x",
        "start_at": "a",
        "nodes": {f"n{n}": {"class": "R"} for n in range(100_000)},
    },
    "a deep condition": lambda: {
        "name": "x",
        "steps": [{"name": "a", "agent_type": "echo", "condition": "(" * 1_999 + "x" + ")" * 1_999}],
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_definition_is_refused_for_little_work(name: str) -> None:
    document = HOSTILE[name]()
    began = time.thread_time()

    with pytest.raises(DefinitionError) as caught:
        compile_definition(load(document).definition, Names())

    assert time.thread_time() - began < SECONDS
    assert 1 <= len(caught.value.issues) <= 50
    assert all(len(issue.message) < 1_000 for issue in caught.value.issues)


@pytest.mark.parametrize(
    "document",
    [
        workflow({f"n{n}": {} for n in range(10_000)}, chain(10_000)),
        workflow({f"n{n}": {} for n in range(10_000)}, [*chain(10_000), "n9999 n0"]),
        workflow({f"n{n}": {"values": {"x": f"{{{{ nodes.n{n}.visit }}}}"}} for n in range(10_000)}),
        {"name": "x", "steps": [{"name": "ก" * (n + 1), "agent_type": "echo"} for n in range(190)]},
    ],
    ids=["a chain", "a circle", "lone nodes", "names without a letter"],
)
def test_a_large_definition_is_fine(document: Any) -> None:
    began = time.thread_time()

    compile_definition(load(document).definition, Names())

    assert time.thread_time() - began < SECONDS


def test_a_thousand_nodes_compile_for_little_work() -> None:
    nodes = {f"n{n}": {"values": {"x": f"{{{{ nodes.n{n - 1}.output }}}}" if n else 1}} for n in range(1_000)}
    document = workflow(nodes, chain(1_000))
    began = time.thread_time()

    compile_definition(load(document).definition, Names())

    assert time.thread_time() - began < SECONDS


def test_a_join_of_nine_thousand_branches_moves_for_little_work() -> None:
    names = [f"b{n}" for n in range(9_000)]
    edges = [*(f"start {name}" for name in names), *(f"{name} join" for name in names)]
    graph = compiled({"start": {}, **{name: {} for name in names}, "join": {}}, edges).graph
    marking, _ = begin(graph)
    marking, starts = advance(graph, marking, Completion("start", range(9_000)))
    began = time.thread_time()

    for start in starts[:500]:
        place = graph.position[start.node]
        marking, _ = advance(graph, marking, Completion(start.node, [graph.outgoing[place][0].number]))

    assert time.thread_time() - began < SECONDS
