"""Conditions as people wrote them for steps."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.workflows.engine.dialects.conditions import to_cel
from apps.workflows.engine.errors import ExpressionError
from apps.workflows.engine.expressions import compile_expression


class Known:
    """Names of a workflow; `mood` surely has a value."""

    def knows(self, name: str) -> bool:
        return name in ("mood", "score", "other")

    def read(self, name: str) -> str:
        return f"context.{name}" if name == "mood" else f"context.?{name}.orValue(null)"

    def is_given(self, name: str) -> bool:
        return name == "mood"


def decide(condition: str, **context: Any) -> Any:
    return compile_expression(to_cel(condition, Known())).evaluate({"context": {"mood": "positive", **context}})


@pytest.mark.parametrize(
    ("condition", "cel"),
    [
        ("mood == positive", 'context.mood == "positive"'),
        ("positive == mood", '"positive" == context.mood'),
        ("mood == 'positive'", "context.mood == 'positive'"),
        ('mood != "positive"', 'context.mood != "positive"'),
        ("mood == other", "context.mood == context.?other.orValue(null)"),
        ("unheard == of", 'context.?unheard.orValue(null) == "of"'),
        ("score > 0.5", "(context.?score.orValue(null) != null && context.?score.orValue(null) > 0.5)"),
        ("0.5 < score", "(context.?score.orValue(null) != null && 0.5 < context.?score.orValue(null))"),
        ("mood >= a", 'context.mood >= "a"'),
        ("mood == very-positive", 'context.mood == "very-positive"'),
        ("mood in [positive, neutral]", 'context.mood in ["positive", "neutral"]'),
        ("mood not in [positive]", '!(context.mood in ["positive"])'),
        ("mood == True", "context.mood == true"),
        ("mood == None", "context.mood == null"),
        ("mood == สุข", 'context.mood == "สุข"'),
        ("context.mood == 'x'", "context.mood == 'x'"),
        ("mood.size() > 3", "(context.mood).size() > 3"),
        ("'mood' == mood.lower()", "'mood' == (context.mood).lower()"),
    ],
)
def test_a_condition_becomes_cel(condition: str, cel: str) -> None:
    assert to_cel(condition, Known()) == cel


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("mood == positive", True),
        ("mood != positive", False),
        ("mood == negative or score > 3", True),
        ("mood == positive and score > 5", False),
        ("not mood == negative", True),
        ("not (mood == positive or score == 1)", False),
        ("mood == negative or mood == positive and score == 4", True),
        ("(mood == negative or mood == positive) and score == 5", False),
        ("mood == positive && !(score < 4) || false", True),
        ("score >= 4 and score <= 4 and score == 4.0 and score != -1", True),
        ("mood in [a, positive] and mood not in [b]", True),
        ("score in [1, 4]", True),
        ("mood == 'it\\'s' or mood == \"positive\"", True),
        ("score", True),
        ("not score", False),
        ("other", False),
        ("not other", True),
        ("mood and score", True),
        ("true", True),
        ("MOOD == positive or False", False),
        ("score + 1 == 5", True),
        ("mood.startsWith('pos')", True),
    ],
)
def test_a_condition_decides(condition: str, holds: bool) -> None:
    assert decide(condition, score=4) is holds


@pytest.mark.parametrize(
    "condition", ["score > 1", "score <= 1", "score == 1", "1 < score", "score in [1]", "score", "other > score"]
)
def test_a_missing_name_is_null_and_no_error(condition: str) -> None:
    assert decide(condition) is False
    assert decide(condition, score=None, other=None) is False


@pytest.mark.parametrize(
    "condition",
    ["", "==", "mood ==", "mood == positive extra", "(mood == a", "mood = positive", "[", "1 < score < 3", "; drop"],
)
def test_what_is_no_condition_is_an_error_and_not_false(condition: str) -> None:
    with pytest.raises(ExpressionError):
        decide(condition, score=2)


@pytest.mark.parametrize(
    "condition",
    ["(" * 2_000 + "mood" + ")" * 2_000, "not " * 1_000 + "mood", "!" * 3_900 + "mood", "mood and " * 400 + "mood"],
)
def test_a_deeply_nested_condition_is_an_error_or_a_value(condition: str) -> None:
    try:
        found = decide(condition)
    except ExpressionError:
        found = "an error"

    assert found in (True, False, "positive", "an error")


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=80) | st.text("mood scre andortin()[]!=<>&|'\"\\.,-0123 ", max_size=80))
def test_any_text_is_turned_into_something(text: str) -> None:
    assert isinstance(to_cel(text, Known()), str)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_a_quoted_text_never_becomes_code(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")

    assert decide(f'mood == "{escaped}"', mood=text) is True
