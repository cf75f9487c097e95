"""Optional values: read with a default, and never let out, where they would end the process."""

from typing import Any

import pytest

from apps.workflows.engine.errors import ExpressionError
from apps.workflows.engine.expressions import compile_expression

SCOPE = {"inputs": {"n": 1, "list": [1, 2], "o": {"a": 5}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.?missing.orValue(3)", 3),
        ("inputs.?o.a.orValue(3)", 5),
        ('inputs.?o["a"].orValue(3)', 5),
        ("inputs.?o.?missing.orValue(null)", None),
        ("inputs.list[?9].orValue(0)", 0),
        ("inputs.list.first().orValue(0)", 1),
        ("inputs.?missing.or(inputs.?n).orValue(0)", 1),
        ("inputs.?n.hasValue()", True),
        ("inputs.?n == optional.of(1)", True),
        ("inputs.?n.optMap(value, value + 1).orValue(0)", 2),
        ("inputs.?o.optFlatMap(value, value.?a).orValue(0)", 5),
        ("(inputs.n > 0 ? inputs.?n : optional.none()).orValue(0)", 1),
        ('{?"n": inputs.?n, ?"missing": inputs.?missing}', {"n": 1}),
        ("[?inputs.?n, ?inputs.?missing]", [1]),
    ],
)
def test_an_optional_value_is_read_with_what_it_is_when_missing(text: str, expected: Any) -> None:
    assert compile_expression(text).evaluate(SCOPE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "inputs.?n",
        "inputs.?o.a",
        'inputs.?o["a"]',
        "inputs.list[?0]",
        "inputs.list.first()",
        "inputs.list.last()",
        "optional.none()",
        "[inputs.?n]",
        '{"n": inputs.?n}',
        '{"o": {"n": inputs.?n}}.o',
        "json(inputs.?n)",
        "json([inputs.?n])",
        'merge(inputs.o, {"n": inputs.?n})',
        "[inputs.?n].join()",
        "dyn(inputs.?n)",
        "inputs.?n.or(inputs.?o)",
        "inputs.?n.orValue(inputs.?o)",
        "inputs.?n.optMap(value, value + 1)",
        "inputs.?n.optMap(value, optional.of(value)).orValue(optional.of(2)).value()",
        "inputs.n > 0 ? inputs.?n : optional.none()",
        "inputs.list.map(item, inputs.?n)",
        "inputs.list.map(item, inputs.list[?item])",
    ],
)
def test_an_optional_value_that_would_get_out_is_refused_when_it_is_written(text: str) -> None:
    with pytest.raises(ExpressionError, match="may be missing"):
        compile_expression(text)
