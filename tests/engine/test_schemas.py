"""JSON Schemas that people write."""

from typing import Any

import pytest

from apps.workflows.engine.schemas import MAX_ISSUES, SchemaError, check, compile_schema, with_defaults
from tests.bounds import bounded

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "left": {"$ref": "#/$defs/node"},
                "right": {"$ref": "#/$defs/node"},
                "n": {"type": "integer"},
            },
        }
    },
    "$ref": "#/$defs/node",
}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def test_every_mistake_has_its_place() -> None:
    schema = {"type": "object", "required": ["x"], "properties": {"l": {"items": {"type": "integer"}}}}

    issues = {issue.pointer: issue for issue in check({"l": [1, "a", "b"]}, schema, "/input")}

    assert {place: issue.code for place, issue in issues.items()} == {
        "/input/l/1": "type",
        "/input/l/2": "type",
        "/input": "required",
    }
    assert issues["/input/l/1"].message == '"a" is not of type "integer".'


def test_a_property_too_many_is_answered_with_the_nearest() -> None:
    schema = {"properties": {"text": {}}, "additionalProperties": False}

    (issue,) = check({"txt": 1}, schema)

    assert (issue.code, issue.fix) == ("additionalProperties", "Did you mean 'text'?")


def test_only_so_many_mistakes_are_told() -> None:
    assert len(check(["x"] * 100, {"items": {"type": "integer"}})) == MAX_ISSUES


def test_a_long_value_is_shortened_in_the_message() -> None:
    (issue,) = check("x" * 10_000, {"type": "integer"})

    assert len(issue.message) <= 301


def test_defaults_fill_what_is_left_out() -> None:
    schema = {"properties": {"a": {"default": 1}, "b": {"default": 2}, "c": {}}}

    assert with_defaults({"b": 3}, schema) == {"a": 1, "b": 3}
    assert with_defaults({"b": 3}, None) == {"b": 3}


def test_a_schema_may_refer_to_itself() -> None:
    (issue,) = check({"left": {"right": {"n": "x"}}}, TREE)

    assert issue.pointer == "/left/right/n"


def test_a_schema_of_three_thousand_properties_works() -> None:
    schema = {
        "properties": {f"p{number}": {"anyOf": [{"type": "string"}, {"type": "null"}]} for number in range(3_000)}
    }

    assert check({"p1": 5}, schema)[0].pointer == "/p1"


@pytest.mark.parametrize(
    "reference", ["http://127.0.0.1:9/x", "file:///etc/passwd", "other.json", "#anchor", "/etc/passwd"]
)
def test_nothing_outside_the_schema_is_read(reference: str) -> None:
    with pytest.raises(SchemaError):
        compile_schema({"$ref": reference})


_TWO = [{"properties": {"a": {"$ref": "#/$defs/n"}}, "required": [name]} for name in "bc"]
_DOUBLING = {f"a{number}": {"allOf": [{"$ref": f"#/$defs/a{number + 1}"}] * 2} for number in range(40)}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$defs": {"n": {"anyOf": _TWO}}, "$ref": "#/$defs/n"},
        {"$defs": {**_DOUBLING, "a40": {"type": "object"}}, "$ref": "#/$defs/a0"},
        {"properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}},
        {"additionalProperties": {"$ref": "#"}, "unevaluatedProperties": {"$ref": "#"}},
        {"$dynamicRef": "#x", "$dynamicAnchor": "x"},
        {"$id": "http://x/", "properties": {"a": {"$id": "http://y/", "$ref": "http://x/"}}},
        {"$defs": {str(number): {"$ref": f"#/$defs/{number + 1}"} for number in range(5_000)}, "$ref": "#/$defs/0"},
        {"pattern": "((a{1,1000}){1,1000}){1,1000}"},
        {"pattern": "(?=a)a"},
        {"$schema": "http://example.com/mine"},
        {"type": "objekt"},
    ],
)
@bounded
def test_a_schema_that_could_hold_a_worker_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        check(nested(90), schema)


@bounded
def test_a_pattern_cannot_backtrack() -> None:
    assert check("a" * 100_000 + "!", {"pattern": "^(a+)+$"})


@bounded
def test_a_recursive_schema_checks_deep_values() -> None:
    assert check(nested(95), {"properties": {"a": {"$ref": "#"}}}) == []
