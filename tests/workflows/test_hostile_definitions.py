"""Definitions that want to hurt, over HTTP: a clear 4xx for little work, and nothing stored."""

import json
import time

import pytest

from apps.workflows.models import Run, Workflow
from tests.engine.documents import workflow

# Of the processor, in the thread that answers. On a machine that does nothing else each takes less than two; a busy one
# makes that several times as many, and what is unbounded takes minutes.
SECONDS = 20.0


def nested(opening: str, closing: str, depth: int, inside: str = "") -> str:
    return opening * depth + inside + closing * depth


def with_values(text: str) -> str:
    """A JSON definition with this text as a value."""
    return '{"name": "x", "nodes": {"a": {"type": "set", "values": {"v": ' + text + "}}}}"


def expression(text: str) -> str:
    return json.dumps(workflow({"a": {"values": {"v": "{{ " + text + " }}"}}}))


def chain(count: int) -> str:
    names = [f"n{number}" for number in range(count)]
    return json.dumps({"name": "x", "nodes": {name: {"type": "set"} for name in names}})


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join(lines)


LIST = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]"


def plain(nodes: object, **others: object) -> str:
    """A definition in JSON, with nothing checked."""
    return json.dumps({"name": "x", "nodes": nodes, **others})


HOSTILE_JSON = {
    "ten megabytes": with_values('"' + "x" * 10_000_000 + '"'),
    "ten megabytes of spaces": "{" + " " * 10_000_000 + "}",
    "lists nested deep": with_values(nested("[", "]", 10_000)),
    "objects nested deep": with_values(nested('{"a":', "}", 10_000, "1")),
    "nested and never closed": "[" * 1_000_000,
    "many nodes": chain(100_000),
    "many edges": plain({"a": {"type": "set"}}, edges=[{"from": "a", "to": "a"}] * 100_000),
    "many needs": plain({"a": {"type": "set"}, "b": {"type": "set", "needs": ["a"] * 100_000}}),
    "many values": with_values("[" + "0," * 600_000 + "0]"),
    "a key twice": '{"name": "x", "name": "y", "nodes": {"a": {"type": "set"}}}',
    "a node twice": '{"name": "x", "nodes": {"a": {"type": "set"}, "a": {"type": "fail"}}}',
    "a NUL": with_values('"a\\u0000b"'),
    "a NUL as it is": with_values('"a\x00b"'),
    "a NUL in a key": with_values('{"a\\u0000": 1}'),
    "a lone surrogate": with_values('"\\ud800"'),
    "a lone surrogate in a name": '{"name": "\\udfff", "nodes": {"a": {"type": "set"}}}',
    "not a number": with_values("NaN"),
    "an endless number": with_values("1e999"),
    "a number of a million digits": with_values("1" * 1_000_000),
    "a number beyond 64 bits": with_values("123456789012345678901234567890"),
    "a number as a key": '{1: 2}',
    "nothing": "",
    "a comment": "// hello",
    "a list": "[]",
    "null": "null",
    "a long key": json.dumps({"name": "x", "nodes": {"n" * 1_000_000: {"type": "set"}}}),
    "a long type": json.dumps({"name": "x", "nodes": {"a": {"type": "t" * 1_000_000}}}),
    "a long agent": json.dumps({"name": "x", "nodes": {"a": {"type": "agent", "agent": "t" * 1_000_000}}}),
    "a prototype": '{"name": "x", "__proto__": {"a": 1}, "constructor": 1, "nodes": {"a": {"type": "set"}}}',
    "an unknown field": json.dumps(workflow({"a": {"vlaues": 1}})),
    "a cycle without an entry but for the first": json.dumps(workflow({"a": {}, "b": {}, "c": {}}, ["b c", "c b"])),
    "a map in a map": json.dumps(
        workflow({"m": {"type": "map", "over": [], "node": {"type": "map", "over": [], "node": {"type": "set"}}}})
    ),
    "maps nested deep": plain(
        {"a": json.loads(nested('{"type": "map", "over": [], "node": ', "}", 90, '{"type": "set"}'))}
    ),
    "a schema that refers to itself": json.dumps(workflow({"a": {}}, inputs={"$ref": "#"})),
    "a schema from elsewhere": json.dumps(workflow({"a": {}}, inputs={"$ref": "http://169.254.169.254/latest"})),
    "many broken expressions": json.dumps(
        workflow({f"n{n}": {"values": {"v": "{{ nodes.q" + str(n) + ".output }}"}} for n in range(5_000)})
    ),
    "a long expression": expression("1 + " * 100_000 + "1"),
    "an expression nested deep": expression(nested("(", ")", 10_000, "1")),
    "an expression of lists nested deep": expression(nested("[", "]", 5_000, "1")),
    "an expression of many nots": expression("!" * 20_000 + "true"),
    "an expression of many minuses": expression("-" * 20_000 + "1"),
    "comprehensions in each other": expression(
        f"{LIST}.map(a, {LIST}.map(b, {LIST}.map(c, {LIST}.map(d, {LIST}.map(e, a + b + c + d + e)))))"
    ),
    "an unclosed expression": json.dumps(workflow({"a": {"values": {"v": "{{ " * 50_000}}})),
    "a huge condition": json.dumps(
        workflow({"a": {}, "b": {}}, [{"from": "a", "to": "b", "when": "true && " * 50_000 + "true"}])
    ),
    "steps in a circle": json.dumps(
        {
            "name": "x",
            "steps": [
                {"name": "a", "agent_type": "echo", "depends_on": ["b"]},
                {"name": "b", "agent_type": "echo", "depends_on": ["a"]},
            ],
        }
    ),
    "steps of nothing": json.dumps({"name": "x", "steps": [None, 5, [], {}]}),
    "a state machine without a start": plain({"a": {"class": "StartNode"}}, start_at="q"),
}  # fmt: skip

HOSTILE_YAML = {
    "a billion laughs": laughs(9),
    "an anchor that holds itself": "name: x\nnodes: &a {a: *a}",
    "aliases without end": "a: &a [1]\nb: [" + "*a, " * 200_000 + "*a]",
    "lists nested deep": "name: x\nnodes: " + nested("[", "]", 10_000),
    "blocks nested deep": "\n".join(" " * level + "- " for level in range(3_000)),
    "maps nested deep": nested("{a: ", "}", 10_000, "1"),
    "a tag that makes an object": "!!python/object/apply:os.system ['true']",
    "another tag": "name: !!binary aGVsbG8=\nnodes: {a: {type: set}}",
    "a key twice": "name: x\nname: y\nnodes: {a: {type: set}}",
    "a merge key bomb": "a: &a {x: 1}\n"
    + "\n".join(f"b{number}: &b{number} {{<<: *a, y: 1}}" for number in range(20_000)),
    "two documents": "name: x\n---\nname: y",
    "a NUL": "name: x\x00",
    "a NUL that is escaped": 'name: "x\\0"\nnodes: {a: {type: set}}',
    "a lone surrogate": 'name: "\\ud800"\nnodes: {a: {type: set}}',
    "tabs": "name:\n\t- x",
    "ten megabytes": "name: " + "x" * 10_000_000,
    "a key that is a list": "? [a, b]\n: 1",
    "not utf-8": "name: \udcff",
    "a reserved character": "name: @x",
    "many nodes": "name: x\nnodes:\n" + "".join(f"  n{number}: {{type: set}}\n" for number in range(100_000)),
}

ALL = [pytest.param(body, "application/json", id=f"JSON: {name}") for name, body in HOSTILE_JSON.items()] + [
    pytest.param(body, "application/yaml", id=f"YAML: {name}") for name, body in HOSTILE_YAML.items()
]


def send(alice, path: str, body: str, content_type: str):
    began = time.thread_time()
    answer = alice.client.generic("POST", path, body.encode(errors="surrogateescape"), content_type=content_type)
    return answer, time.thread_time() - began


@pytest.mark.parametrize(("body", "content_type"), ALL)
def test_a_hostile_definition_is_refused_for_little_work_and_clearly(alice, in_scope, body, content_type):
    answer, seconds = send(alice, "/v1/workflows", body, content_type)

    assert answer.status_code in (400, 413, 422), answer.content[:500]
    assert (answer["Content-Type"], len(answer.content) < 100_000) == ("application/problem+json", True)
    assert answer.json()["detail"]
    assert seconds < SECONDS
    assert not Workflow.objects.exists()


@pytest.mark.parametrize(("body", "content_type"), ALL)
def test_validating_it_is_little_work_too(alice, body, content_type):
    answer, seconds = send(alice, "/v1/workflows/validate", body, content_type)

    assert answer.status_code in (400, 413, 422) or answer.json()["valid"] is False, answer.content[:500]
    assert seconds < SECONDS


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in HOSTILE_JSON.items() if body])
def test_running_it_is_refused_as_well(alice, in_scope, body):
    answer, seconds = send(alice, "/v1/runs", '{"definition": ' + body + "}", "application/json")

    assert answer.status_code in (400, 413, 422), answer.content[:500]
    assert seconds < SECONDS
    assert not Run.objects.exists()


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(.*a){20}$"])
def test_a_pattern_that_backtracks_for_ever_holds_nobody(alice, pattern):
    schema = {"type": "object", "properties": {"v": {"type": "string", "pattern": pattern}}}
    body = json.dumps({"definition": workflow({"a": {}}, inputs=schema), "input": {"v": "a" * 60 + "!"}})

    answer, seconds = send(alice, "/v1/runs", body, "application/json")

    assert answer.status_code == 422
    assert seconds < SECONDS


def test_a_harmless_large_definition_is_taken(alice):
    nodes = {f"n{number}": {"values": {"v": "x" * 100}} for number in range(2_000)}
    edges = [f"n{number} n{number + 1}" for number in range(1_999)]

    answer, seconds = send(alice, "/v1/workflows", json.dumps(workflow(nodes, edges)), "application/json")

    assert answer.status_code == 201
    assert seconds < SECONDS


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", ""])
def test_another_kind_of_body_is_415(alice, content_type):
    answer, _ = send(alice, "/v1/workflows", "name: x", content_type)

    assert answer.status_code in (400, 415)
    assert answer["Content-Type"] == "application/problem+json"
