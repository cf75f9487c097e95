"""Workflows written as steps."""

from typing import Any

import pytest

from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.dialects import load
from apps.workflows.engine.errors import DefinitionError, Issue
from tests.engine.simulator import Ended, simulate
from tests.engine.test_dialects import payload


def step(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "agent_type": "echo", "depends_on": list(after), **fields}


def steps(*of: dict[str, Any]) -> dict[str, Any]:
    return {"name": "test", "steps": list(of)}


def document(*of: dict[str, Any]) -> Any:
    """The canonical form."""
    return load(steps(*of)).definition.document()


def problems(*of: dict[str, Any]) -> list[Issue]:
    with pytest.raises(DefinitionError) as caught:
        load(steps(*of))
    return list(caught.value.issues)


def run(*of: dict[str, Any], seed: int = 0, **inputs: Any) -> Ended:
    """Runs steps whose agent gives back its input."""
    compiled = compile_definition(load(steps(*of)).definition)
    return simulate(compiled, inputs=inputs, agents={"echo": lambda given: given}, seed=seed)


def analyse(mood: str) -> Ended:
    def text_processor(given: dict[str, Any]) -> dict[str, Any]:
        return {"sentiment_analysis": {"sentiment": mood}, "text_summary": {"summary": "short"}}[given["task_type"]]

    compiled = compile_definition(load(payload("steps_content_analysis")).definition)
    return simulate(compiled, inputs={"input_text": "long"}, agents={"text_processor": text_processor})


def test_the_sentiment_decides_the_summary() -> None:
    happy, sad = analyse("positive"), analyse("negative")

    assert happy.visits == {"sentiment_analysis": 1, "text_summary": 1}
    assert happy.context == {"content_sentiment": "positive", "content_summary": "short"}
    assert sad.visits == {"sentiment_analysis": 1, "text_summary": 0}
    assert (sad.status, sad.context) == ("completed", {"content_sentiment": "negative"})


def test_the_data_of_one_step_reaches_the_next() -> None:
    def data_analyzer(given: dict[str, Any]) -> dict[str, Any]:
        if given["task_type"] == "data_validation":
            return {"clean_data": sorted(given["data"])}
        return {"stats": {"least": given["data"][0]}}

    compiled = compile_definition(load(payload("steps_data_processing")).definition)
    ended = simulate(compiled, inputs={"raw_data": [3, 1, 2]}, agents={"data_analyzer": data_analyzer})

    assert ended.context == {"validated_data": [1, 2, 3], "analysis_results": {"least": 1}}


def test_a_steps_name_is_its_task_type_and_its_node() -> None:
    made = document(step("sum up", input_mapping={"text": "body"}))

    assert made["nodes"] == {
        "sum_up": {
            "type": "agent",
            "title": "sum up",
            "agent": "echo",
            "input": {"task_type": "sum up", "text": "{{ inputs.body }}"},
        }
    }


def test_names_that_look_alike_become_different_nodes() -> None:
    assert list(document(step("a b"), step("a_b"), step("a/b"), step("ก"), step("ข"))["nodes"]) == [
        "a_b_2",
        "a_b",
        "a_b_3",
        "step",
        "step_2",
    ]


def test_steps_without_dependencies_start_at_once() -> None:
    ended = run(step("a"), step("b"), step("c", "a", "b"))

    assert set(ended.started[:2]) == {"a", "b"}
    assert ended.started[2] == "c"


def test_what_unconditional_steps_read_is_required_of_the_input() -> None:
    made = document(
        step("a", input_mapping={"x": "needed"}, output_mapping={"x": "made"}),
        step("b", "a", input_mapping={"x": "made", "y": "maybe"}, condition="mode == fast"),
    )

    assert made["inputs"] == {
        "type": "object",
        "required": ["needed"],
        "properties": {"needed": {}, "maybe": {}, "mode": {}},
    }


def test_without_names_to_read_no_inputs_are_declared() -> None:
    assert "inputs" not in document(step("a"))


def test_a_key_that_a_step_before_surely_wrote_is_read_from_the_context() -> None:
    made = document(step("a", output_mapping={"r": "k"}), step("b", "a", input_mapping={"x": "k"}))

    assert made["nodes"]["b"]["input"]["x"] == "{{ context.k }}"
    assert made["nodes"]["a"]["save"] == {"k": "{{ output.r }}"}


def test_a_key_that_may_not_be_written_yet_falls_back_to_the_input_and_to_null() -> None:
    maybe = step("a", input_mapping={"r": "v"}, output_mapping={"r": "k"}, condition="go")
    reader = step("b", input_mapping={"x": "k"})

    assert run(maybe, {**reader, "depends_on": []}, k="given").visits["b"] == 1
    assert document(maybe, reader)["nodes"]["b"]["input"]["x"] == "{{ context.?k.or(inputs.?k).orValue(null) }}"


@pytest.mark.parametrize(("go", "seen"), [(True, "written"), (False, "given")])
def test_a_conditional_writer_beside_another_way_is_read_leniently(go: bool, seen: str) -> None:
    ended = run(
        step("start", input_mapping={"v": "v"}),
        step("maybe", "start", input_mapping={"r": "v"}, output_mapping={"r": "k"}, condition="go == true"),
        step("join", "start", "maybe", input_mapping={"x": "k"}, output_mapping={"x": "seen"}),
        v="written", k="given", go=go,
    )  # fmt: skip

    assert ended.context["seen"] == seen


def test_odd_names_are_read_in_brackets() -> None:
    made = document(step("a", input_mapping={"x": "raw-data", "y": "in"}, output_mapping={"r-1": "k"}))

    assert made["nodes"]["a"]["input"] == {"task_type": "a", "x": '{{ inputs["raw-data"] }}', "y": '{{ inputs["in"] }}'}
    assert made["nodes"]["a"]["save"] == {"k": '{{ output["r-1"] }}'}


def test_a_condition_on_one_dependency_stands_on_its_edge() -> None:
    made = document(step("a"), step("b", "a", condition="mode == fast"))

    assert made["edges"] == [{"from": "a", "to": "b", "when": 'inputs.?mode.orValue(null) == "fast"'}]


@pytest.mark.parametrize("seed", range(6))
def test_a_condition_on_several_dependencies_is_decided_once_after_all_of_them(seed: int) -> None:
    ended = run(
        step("a", input_mapping={"r": "one"}, output_mapping={"r": "x"}),
        step("b", input_mapping={"r": "two"}, output_mapping={"r": "y"}),
        step("c", "a", "b", condition="x == 1 and y == 2"),
        one=1, two=2, seed=seed,
    )  # fmt: skip

    assert ended.visits == {"a": 1, "b": 1, "c": 1, "c_condition": 1}


def test_a_false_condition_on_several_dependencies_skips_the_step_and_what_follows() -> None:
    ended = run(step("a"), step("b"), step("c", "a", "b", condition="mode == fast"), step("d", "c"), mode="slow")

    assert ended.visits == {"a": 1, "b": 1, "c": 0, "c_condition": 1, "d": 0}


@pytest.mark.parametrize(("mode", "visits"), [("fast", 1), ("slow", 0)])
def test_a_condition_without_a_dependency_is_decided_at_the_start(mode: str, visits: int) -> None:
    ended = run(step("a", condition="mode == fast"), mode=mode)

    assert ended.visits == {"a": visits, "a_condition": 1}


def test_the_node_of_a_condition_gets_a_name_of_its_own() -> None:
    made = document(step("a", condition="go"), step("a_condition"))

    assert set(made["nodes"]) == {"a", "a_condition", "a_condition_2"}


@pytest.mark.parametrize(
    ("of", "pointer", "code"),
    [
        ([step("a"), step("b", "aa")], "/steps/1/depends_on/0", "unknown_step"),
        ([step("a"), step("a")], "/steps/0", "duplicate_name"),
        ([step("a", "a")], "/steps/0/depends_on", "circle"),
        ([step("a", "c"), step("b", "a"), step("c", "b")], "/steps/0/depends_on", "circle"),
    ],
)
def test_dependencies_that_make_no_order_are_an_issue(of: list[Any], pointer: str, code: str) -> None:
    (issue,) = problems(*of)

    assert (issue.pointer, issue.code) == (pointer, code)


def test_a_circle_is_shown() -> None:
    (issue,) = problems(step("x"), step("a", "x", "c"), step("b", "a"), step("c", "b"), step("d", "c"))

    assert issue.message == "These wait for each other in a circle: 'a' → 'c' → 'b' → 'a'."
