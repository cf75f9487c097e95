"""Values with expressions in them."""

from typing import Any

import pytest

from apps.workflows.engine import templates
from apps.workflows.engine.errors import ExpressionError
from apps.workflows.engine.expressions import ROOTS
from apps.workflows.engine.templates import MAX_DEPTH, Template, compile_template

SCOPE = {"inputs": {"n": 3, "list": [1, 2], "object": {"k": True}, "text": "hi", "nothing": None}}


def template(value: Any) -> Template:
    def fail(_where: str, _text: str, error: ExpressionError) -> None:
        raise error

    return compile_template(value, ROOTS, fail)


def problems(value: Any) -> list[tuple[str, str]]:
    """Where something is wrong, and what is said."""
    found: list[tuple[str, str]] = []
    compile_template(value, ROOTS, lambda where, _text, error: found.append((where, error.message)))
    return found


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{{ inputs.n }}", 3),
        ("{{inputs.list}}", [1, 2]),
        ("{{ inputs.object }}", {"k": True}),
        ("{{ inputs.nothing }}", None),
        ("{{ inputs.n > 2 }}", True),
        ("{{ inputs.n + 0.5 }}", 3.5),
    ],
)
def test_a_single_expression_keeps_its_type(written: str, value: Any) -> None:
    assert template(written).render(SCOPE) == value


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("n={{ inputs.n }}", "n=3"),
        (" {{ inputs.n }}", " 3"),
        ("{{ inputs.n }}{{ inputs.n }}", "33"),
        ("{{ inputs.object }}!", '{"k": true}!'),
        ("{{ inputs.list }} and {{ inputs.nothing }}", "[1, 2] and null"),
        ("{{ inputs.text }}, {{ inputs.text }}", "hi, hi"),
    ],
)
def test_text_around_expressions_makes_a_text(written: str, text: str) -> None:
    assert template(written).render(SCOPE) == text


@pytest.mark.parametrize("value", ["plain", 5, None, True, {"a": [1, "b"]}, "a } b }} c { d", "$x {y}"])
def test_a_value_without_expressions_stays_as_it_is(value: Any) -> None:
    compiled = template(value)

    assert compiled.render({}) is value
    assert compiled.expressions == ()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('{{ "}}" + inputs.text }}', "}}hi"),
        ("{{ '}}' }}", "}}"),
        ('{{ "a\\"}}" }}', 'a"}}'),
        ('{{ {"a": {"b": inputs.n}} }}', {"a": {"b": 3}}),
        ('{{ {"a": 1}}}', {"a": 1}),
        ('{{ "{{" }}', "{{"),
    ],
)
def test_braces_inside_an_expression_do_not_end_it(written: str, value: Any) -> None:
    assert template(written).render(SCOPE) == value


def test_expressions_are_found_at_any_depth_with_their_place() -> None:
    compiled = template({"a": ["x", {"b/c": "{{ inputs.n }}"}], "d": "{{ inputs.n }}"})

    assert [where for where, _ in compiled.expressions] == ["/a/1/b~1c", "/d"]
    assert compiled.render(SCOPE) == {"a": ["x", {"b/c": 3}], "d": 3}


def test_a_template_can_be_rendered_again_and_again() -> None:
    compiled = template({"n": "{{ inputs.n }}"})

    assert [compiled.render({"inputs": {"n": n}}) for n in (1, 2)] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("text", ["{{ inputs.n", "{{", "a {{ b", "{{ '}} ", '{{ "{{ inputs.n }}', "{{ {}"])
def test_an_expression_that_is_not_closed_is_an_error(text: str) -> None:
    assert problems({"a": text}) == [("/a", "'{{' is not closed by '}}'.")]


def test_every_wrong_expression_is_reported_with_its_place() -> None:
    found = problems({"a": "{{ inptus.x }}", "b": ["{{ 1 + }}", "{{ }}"]})

    assert [where for where, _ in found] == ["/a", "/b/0", "/b/1"]


def test_a_failure_names_the_expression() -> None:
    with pytest.raises(ExpressionError) as caught:
        template({"a": "x{{ inputs.nn }}"}).render(SCOPE)

    assert caught.value.message.startswith("{{ inputs.nn }}: There is no 'nn' in 'inputs'.")
    assert caught.value.code == "unknown_name"


def test_a_value_may_be_nested_only_so_deep() -> None:
    deep: Any = "x"
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]

    ((where, message),) = problems(deep)

    assert where == "/0" * (MAX_DEPTH + 1)
    assert message == "The value is nested more than 64 deep."


def test_what_several_expressions_make_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MAX_RENDERED", 2_500)
    scope = {"inputs": {"large": ["x" * 997]}}

    assert template(["{{ inputs.large }}"] * 2).render(scope)
    with pytest.raises(ExpressionError, match="larger than 2,500 bytes"):
        template(["{{ inputs.large }}"] * 3).render(scope)
    with pytest.raises(ExpressionError, match="larger than 2,500 bytes"):
        template("{{ inputs.large }}" * 3).render(scope)
