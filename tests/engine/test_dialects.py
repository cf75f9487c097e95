"""Documents of all dialects: which is which, that they load, and where their mistakes are."""

import json
from pathlib import Path
from typing import Any

import pytest

from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.dialects import load
from apps.workflows.engine.errors import DefinitionError, Issue
from tests.engine.documents import workflow
from tests.engine.test_compiler import Names

PAYLOADS = Path(__file__).parents[1] / "seed_payloads"
DIALECTS = {
    "goal_research": "goal",
    "goal_simple": "goal",
    "onboarding": "state_machine",
    "steps_content_analysis": "steps",
    "steps_data_processing": "steps",
    "tasks_graph": "tasks",
    "tasks_parallel": "tasks",
    "tasks_sequential": "tasks",
}


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_bytes())


def of_step(**fields: Any) -> Any:
    return {"name": "x", "steps": [{"name": "a", "agent_type": "echo", **fields}]}


def of_task(**fields: Any) -> Any:
    return {"workflow_type": "graph", "tasks": [{"agent_id": "a", "agent_role": "echo", **fields}]}


def of_state(**fields: Any) -> Any:
    return {"name": "x", "start_at": "a", "nodes": {"a": {"class": "X", **fields}}}


def issues_of(document: Any) -> list[Issue]:
    """What is wrong, in the document that was sent."""
    try:
        loaded = load(document)
    except DefinitionError as error:
        return list(error.issues)
    try:
        compile_definition(loaded.definition, Names())
    except DefinitionError as error:
        return [loaded.relocate(issue) for issue in error.issues]
    return []


@pytest.mark.parametrize(("name", "dialect"), DIALECTS.items())
def test_every_older_payload_loads_and_compiles(name: str, dialect: str) -> None:
    loaded = load(payload(name))

    assert loaded.dialect == dialect
    assert list(compile_definition(loaded.definition).warnings) == []


@pytest.mark.parametrize("name", DIALECTS)
def test_what_a_dialect_makes_is_canonical(name: str) -> None:
    document = load(payload(name)).definition.document()

    again = load(document)

    assert again.dialect == "canonical"
    assert again.definition.document() == document


def test_every_payload_that_describes_work_is_covered() -> None:
    others = {"execute_agent", "register_agent"}

    assert {path.stem for path in PAYLOADS.glob("*.json")} == {*DIALECTS, *others}


@pytest.mark.parametrize(
    ("document", "dialect"),
    [
        (workflow({"a": {}}), "canonical"),
        ({"name": "x", "steps": [{"name": "a", "agent_type": "b"}]}, "steps"),
        ({"workflow_type": "parallel", "tasks": [{"agent_id": "a", "agent_role": "b"}]}, "tasks"),
        ({"name": "x", "start_at": "a", "nodes": {"a": {"class": "EndNode"}}}, "state_machine"),
        ({"type": "simple", "query": "what?"}, "goal"),
    ],
)
def test_a_dialect_is_recognised_by_its_shape(document: Any, dialect: str) -> None:
    assert load(document).dialect == dialect


@pytest.mark.parametrize("document", [{}, {"name": "x"}, {"type": "set"}, {"agent_type": "x", "input_data": {}}])
def test_what_has_no_such_shape_is_told_what_was_looked_for(document: Any) -> None:
    (issue,) = issues_of(document)

    assert issue.code == "unknown_shape"
    for word in ("'nodes'", "'steps'", "'workflow_type'", "'start_at'", "'type'"):
        assert word in issue.message


@pytest.mark.parametrize("document", [[], "text", None, 5])
def test_what_is_no_object_is_no_workflow(document: Any) -> None:
    (issue,) = issues_of(document)

    assert issue.code == "not_an_object"


@pytest.mark.parametrize(
    ("document", "pointer", "fix"),
    [
        (of_step(agnt_type="b"), "/steps/0/agnt_type", "Did you mean 'agent_type'?"),
        ({"name": "x", "steps": []}, "/steps", None),
        ({"name": "x", "steps": {}}, "/steps", None),
        ({"steps": [{"name": "a", "agent_type": "b"}]}, "/name", None),
        ({"workflow_type": "cyclic", "tasks": []}, "/workflow_type", None),
        ({"tasks": []}, "/workflow_type", None),
        (of_task(depend_on=[]), "/tasks/0/depend_on", "Did you mean 'depends_on'?"),
        (of_state(next="b"), "/nodes/a/next", "Did you mean 'next_node'?"),
        ({"name": "x", "nodes": {"a": {"class": "X"}}}, "/start_at", None),
        ({"type": "simple", "query": "x", "constrains": {}}, "/constrains", "Did you mean 'constraints'?"),
    ],
)
def test_the_shape_of_a_dialect_is_strict(document: Any, pointer: str, fix: str | None) -> None:
    issue = next(issue for issue in issues_of(document) if issue.pointer == pointer)

    assert fix is None or issue.fix == fix


@pytest.mark.parametrize(
    ("document", "pointer", "code"),
    [
        (of_step(agent_type="ecko"), "/steps/0/agent_type", "unknown_agent"),
        (of_step(condition="a b c"), "/steps/0/condition", "expression_error"),
        (of_step(output_mapping={"r": "no key"}), "/steps/0/output_mapping/r", "string_pattern_mismatch"),
        (of_task(agent_role="ecko"), "/tasks/0/agent_role", "unknown_agent"),
        (of_task(input_data={"t": ["{{ nope }}"]}), "/tasks/0/input_data/t/0", "unknown_name"),
        ({"name": "x", "start_at": "a b", "nodes": {"a b": {"class": "echo"}}}, "/nodes/a b", "bad_node_id"),
        ({"name": "x" * 300, "start_at": "a", "nodes": {"a": {"class": "EndNode"}}}, "/name", "string_too_long"),
    ],
)
def test_what_is_found_later_points_into_the_document_that_was_sent(document: Any, pointer: str, code: str) -> None:
    assert [(issue.pointer, issue.code) for issue in issues_of(document)] == [(pointer, code)]


def test_an_issue_of_a_canonical_document_stays_where_it_is() -> None:
    issue = Issue("/nodes/a/missing", "x", "X.")

    assert load(workflow({"a": {}})).relocate(issue) == issue
