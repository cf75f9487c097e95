"""Whatever JSON comes in, a built-in agent gives a result that can be stored or says what is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.agents.context import LocalContext
from apps.agents.runtime import run_agent
from apps.common.json import dumps
from apps.common.validation import InvalidInput

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.sampled_from(["1", "2.5", "1,000", "2024-01-01", "2024-01-01T10:00", "yes", "n/a", "1e400", "٣", "²"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=25,
)


def runs_or_refuses(agent, task):
    try:
        output = run_agent(agent, task, LocalContext(), config={"seconds": 0} if agent == "qa" else None).output
    except InvalidInput:
        return
    dumps(output)


@pytest.mark.parametrize("task_type", ["data_validation", "statistical_analysis"])
@settings(max_examples=150, deadline=None)
@given(data=JSON)
def test_the_data_analyzer_takes_any_data(task_type, data):
    runs_or_refuses("data_analyzer", {"task_type": task_type, "data": data})


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), SCALARS), max_size=8))
def test_the_data_analyzer_takes_any_records(rows):
    runs_or_refuses("data_analyzer", {"task_type": "data_validation", "data": rows})
    runs_or_refuses("data_analyzer", {"task_type": "statistical_analysis", "data": rows})


@settings(max_examples=100, deadline=None)
@given(schema=st.dictionaries(st.sampled_from(["type", "properties", "items", "required", "pattern", "$ref"]), JSON))
def test_the_data_analyzer_takes_any_schema(schema):
    runs_or_refuses("data_analyzer", {"task_type": "data_validation", "data": [{"a": "1"}], "schema": schema})


@pytest.mark.parametrize(
    "task_type", ["sentiment_analysis", "text_summary", "keyword_extraction", "language_detection"]
)
@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=300))
def test_the_text_processor_takes_any_text(task_type, text):
    runs_or_refuses("text_processor", {"task_type": task_type, "text": text})


@settings(max_examples=60, deadline=None)
@given(context=JSON, task=JSON)
def test_a_role_takes_any_context(context, task):
    runs_or_refuses("qa", {"task": task, "context": context})
    runs_or_refuses("qa", task)
