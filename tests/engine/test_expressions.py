"""What an expression is worth, and what it says when it is worth nothing."""

from typing import Any

import pytest

from apps.workflows.engine.errors import ExpressionError
from apps.workflows.engine.expressions import MAX_LENGTH, Reference, compile_expression

SCOPE = {
    "inputs": {"n": 2, "half": 0.5, "name": "Ana", "nothing": None, "list": [3, 1, 2], "odd-name": 7, "in": 8},
    "context": {"shared": {"a": 1}},
    "nodes": {"review": {"status": "completed", "output": {"ok": True, "score": 0.75}}, "task-1": {"output": "x"}},
    "run": {"id": "r1", "started_at": "2026-01-02T03:04:05Z"},
}


def value(text: str) -> Any:
    return compile_expression(text).evaluate(SCOPE)


def failure(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.n", 2),
        ("inputs.n * 3 + 1", 7),
        ("inputs.list.map(x, x * 2)", [6, 2, 4]),
        ("inputs.list.filter(x, x > 1).size()", 2),
        ('{"a": inputs.n, "b": [inputs.name]}', {"a": 2, "b": ["Ana"]}),
        ('inputs.name + "!"', "Ana!"),
        ("inputs.n > 1 && inputs.nothing == null", True),
        ('inputs.name in ["Ana", "Bob"]', True),
        ("inputs.n > 1 ? 'many' : 'one'", "many"),
        ("nodes.review.output.ok", True),
        ('timestamp(run.started_at) + duration("1h")', "2026-01-02T04:04:05Z"),
        ('duration("90s")', 90),
        ('inputs.name.matches("^A")', True),
    ],
)
def test_an_expression_has_a_value(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.n + 1.5", 3.5),
        ("1.5 + inputs.n", 3.5),
        ("inputs.n * inputs.half", 1.0),
        ("inputs.n - 0.5", 1.5),
        ("inputs.half / inputs.n", 0.25),
        ("1 + 0.5", 1.5),
        ("inputs.n < 2.5", True),
        ("inputs.n == 2.0", True),
        ("5 / 2", 2),
        ("5 / 2.0", 2.5),
    ],
)
def test_whole_numbers_and_decimals_mix(text: str, expected: float) -> None:
    found = value(text)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"Ana".lower()', "ana"),
        ('"Ana".upper()', "ANA"),
        ('" a ".trim()', "a"),
        ('"a-b-c".replace("-", "+")', "a+b+c"),
        ('"a,b".split(",")', ["a", "b"]),
        ('["a", 1, null].join("/")', "a/1/null"),
        ('["a", "b"].join()', "ab"),
        ('"hello".substring(1, 3)', "el"),
        ('"hello".substring(3)', "lo"),
        ('"hello".indexOf("l")', 2),
        ("json(context.shared)", '{"a": 1}'),
        ("""parseJson('{"a": [1]}').a""", [1]),
        ("merge(context.shared, inputs).a", 1),
        ('merge(context.shared, {"a": 2})', {"a": 2}),
        ("merge(context.shared, null)", {"a": 1}),
        ("math.greatest(1, 2.5)", 2.5),
    ],
)
def test_functions_work(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("inputs.name", ("inputs", "name")),
        (" inputs.name ", ("inputs", "name")),
        ('nodes["task-1"].output', ("nodes", "task-1", "output")),
        ("nodes['task-1']['output']", ("nodes", "task-1", "output")),
        ('inputs["in"]', ("inputs", "in")),
    ],
)
def test_a_plain_path_is_followed_without_the_evaluator(text: str, path: tuple[str, ...]) -> None:
    expression = compile_expression(text)

    assert expression.references == (Reference(path),)
    assert expression.is_plain
    assert expression.evaluate(SCOPE) is not None


def test_a_plain_path_gives_a_value_of_any_size() -> None:
    large = ["x" * 100] * 50_000

    assert compile_expression("inputs").evaluate({"inputs": large}) is large


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("has(inputs.missing) ? inputs.missing : 5", 5),
        ("inputs.?missing.orValue(5)", 5),
        ("inputs.?n.orValue(5)", 2),
        ('inputs[?"odd-name"].orValue(5)', 7),
        ("nodes.?other.?output.orValue(null)", None),
        ("inputs.?missing.or(inputs.?n).orValue(0)", 2),
    ],
)
def test_a_missing_name_may_be_asked_for(text: str, expected: Any) -> None:
    assert value(text) == expected


def test_names_inside_has_and_optional_reads_are_lenient_and_others_are_not() -> None:
    references = compile_expression("has(inputs.a.b) ? inputs.a.b + context.?c.orValue(1) : 0").references

    assert set(references) == {
        Reference(("inputs", "a", "b"), lenient=True),
        Reference(("inputs", "a", "b")),
        Reference(("context", "c"), lenient=True),
    }


def test_the_variable_of_a_loop_is_no_name_of_the_workflow() -> None:
    references = compile_expression("inputs.list.map(inputs, inputs * 2)").references

    assert references == (Reference(("inputs", "list")),)


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("input.n", "There is no name 'input' here.", "Did you mean 'inputs'?"),
        ("inputs.nmae", "There is no 'nmae' in 'inputs'.", "Did you mean 'name'?"),
        ("output.x", "There is no name 'output' here.", "Names that can be read here: context, inputs, nodes, run."),
        ("inputs.name.first", "'inputs.name' is a text and has no field 'first'.", None),
        ("inputs.nothing.first", "'inputs.nothing' is null and has no field 'first'.", None),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(text: str, message: str, fix: str | None) -> None:
    error = failure(text)

    assert (error.code, error.message, error.fix) == ("unknown_name", message, fix)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("inputs.n +", "At character 11: Syntax error"),
        ("inputs.n + 'a'", "'+' does not work on (whole number, string)"),
        ("inputs.missing + 1", "There is no 'missing' in the object. has(a.b)"),
        ("inputs.nothing.x + 1", "it may be null"),
        ("1 / 0", "Divide by zero"),
        ("inputs.half / 0", "ivide by zero"),
        ("9223372036854775807 + 1", "Integer overflow"),
        ("1e308 * 10.0", "not finite"),
        ("{1: 2}", "keys are texts"),
        ('b"bytes"', "not a JSON value"),
        ("merge(inputs, 1)", "two objects"),
        ('parseJson("{")', "nexpected end"),
        ("len(inputs.list)", "There is no name 'len' here"),
    ],
)
def test_what_has_no_value_says_why(text: str, said: str) -> None:
    assert said in failure(text).message


def test_a_longer_text_than_allowed_is_refused() -> None:
    assert "4,001 characters; at most 4,000" in failure("1" * (MAX_LENGTH + 1)).message


@pytest.mark.parametrize("text", ["merge(inputs, context.shared)", "json(inputs.list)", "parseJson(inputs.written)"])
def test_a_function_of_whole_values_is_called_with_them_as_they_are(text: str) -> None:
    scope: dict[str, Any] = {
        "inputs": {"list": [1], "written": "[1]", "large": "x" * 2_000_000},
        "context": {"shared": {"a": 1}},
    }

    direct = compile_expression(text).evaluate(scope)

    assert direct in ({**scope["inputs"], "a": 1}, "[1]", [1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("merge(inputs, inputs.n)", "Merge works on two objects."),
        ("merge(inputs, inputs.missing)", "There is no 'missing' in 'inputs'."),
        ("parseJson(inputs.name)", "nexpected"),
        ("parseJson(inputs.n)", "must be"),
    ],
)
def test_such_a_function_says_why_it_has_no_value(text: str, said: str) -> None:
    assert said in failure(text).message


def test_the_same_text_is_compiled_once() -> None:
    assert compile_expression("inputs.n + 1") is compile_expression("inputs.n + 1")
