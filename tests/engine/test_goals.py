"""Goals, for which there are ready plans."""

from typing import Any

import pytest

from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.dialects import load
from apps.workflows.engine.dialects.goal import PLANS
from apps.workflows.engine.errors import DefinitionError
from tests.engine.simulator import Ended, simulate
from tests.engine.test_dialects import payload


def run(document: Any, **inputs: Any) -> Ended:
    agents = {
        "echo": lambda given: given,
        "researcher": lambda given: {"notes": given["task"]},
        "analyst": lambda given: {"about": given["task"], "from": sorted(given["context"])},
        "text_processor": lambda given: {"summary": given["text"][:20]},
    }
    return simulate(compile_definition(load(document).definition), inputs=inputs, agents=agents)


def test_a_simple_goal_gives_its_input_back() -> None:
    assert run(payload("goal_simple")).output == {"answer": {"message": "Hello, World!"}}


def test_research_looks_at_several_sides_and_brings_them_together() -> None:
    ended = run(payload("goal_research"))

    assert ended.started[:3] == ["background", "developments", "questions"]
    assert ended.output["query"] == "Latest trends in AI"
    assert ended.output["findings"]["background"] == {"notes": "Background and key terms of: Latest trends in AI"}
    assert ended.output["analysis"]["from"] == ["background", "developments", "questions"]


def test_a_run_may_be_given_another_query() -> None:
    assert run(payload("goal_research"), query="Tea").output["query"] == "Tea"


def test_the_query_may_stand_in_the_input() -> None:
    assert run({"type": "research_and_analyze", "input": {"query": "Tea"}}).output["query"] == "Tea"


@pytest.mark.parametrize(("given", "answer"), [("hi", {"input": "hi"}), ({"a": 1}, {"a": 1}), ([1], {"input": [1]})])
def test_the_input_of_a_goal_may_be_anything(given: Any, answer: Any) -> None:
    assert run({"type": "simple", "input": given}).output == {"answer": answer}


def test_priority_and_constraints_are_kept() -> None:
    document = {"type": "simple", "query": "x", "priority": 5, "constraints": {"cost": 1}, "metadata": {"by": "ana"}}

    assert load(document).definition.metadata == {"by": "ana", "goal": {"priority": 5, "constraints": {"cost": 1}}}


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DefinitionError) as caught:
        load({"type": "paint", "query": "x"})

    (issue,) = caught.value.issues
    assert (issue.pointer, issue.fix) == ("/type", "Known: 'research_and_analyze', 'simple'.")


def test_what_a_plan_needs_must_be_there() -> None:
    with pytest.raises(DefinitionError) as caught:
        load({"type": "research_and_analyze", "input": {"topic": "Tea"}})

    assert [issue.pointer for issue in caught.value.issues] == ["/query"]


@pytest.mark.parametrize("kind", PLANS)
def test_a_query_with_braces_is_text_and_no_expression(kind: str) -> None:
    ended = run({"type": kind, "query": "{{ inputs }} }} {{"})

    assert ended.status == "completed"
