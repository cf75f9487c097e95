"""Workflows written as tasks."""

from typing import Any

import pytest

from apps.workflows.engine.compiler import compile_definition
from apps.workflows.engine.dialects import load
from apps.workflows.engine.errors import DefinitionError
from tests.engine.simulator import Ended, simulate
from tests.engine.test_dialects import payload

AFTER_A = {"agent_id": "b", "depends_on": ["a"]}
ROLES = ("frontend", "backend", "qa", "debugger")


def run(document: Any) -> Ended:
    """Runs tasks whose agents say who they are and what they were told."""
    agents = {role: (lambda given, role=role: {"by": role, **given}) for role in ROLES}
    return simulate(compile_definition(load(document).definition), agents=agents)


def tasks(kind: str, *of: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"workflow_type": kind, "tasks": [{"agent_role": "qa", **task} for task in of], **others}


def test_a_sequential_task_is_told_the_output_of_the_one_before() -> None:
    ended = run(payload("tasks_sequential"))

    first = {"by": "backend", "task": "Create API endpoint"}
    assert ended.started == ["task-1", "task-2"]
    assert ended.output == {"task-2": {"by": "qa", "task": "Review API", "context": first}}


def test_parallel_tasks_all_start_at_once_and_are_told_nothing() -> None:
    ended = run(payload("tasks_parallel"))

    assert ended.started == ["1", "2", "3"]
    assert ended.output["2"] == {"by": "qa", "task": "Review module B"}


def test_a_task_of_a_graph_waits_for_all_it_depends_on_and_is_told_their_outputs() -> None:
    ended = run(payload("tasks_graph"))

    assert ended.started == ["1", "2", "3", "4"]
    review = ended.output["4"]["context"]["3"]
    assert {agent_id: told["by"] for agent_id, told in review["context"].items()} == {"1": "frontend", "2": "backend"}


def test_numbers_may_be_agent_ids() -> None:
    loaded = load(tasks("graph", {"agent_id": 1}, {"agent_id": 2, "depends_on": [1]}))

    assert loaded.definition.document()["edges"] == [{"from": "1", "to": "2"}]


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ({}, "parallel tasks"),
        ({"metadata": {"name": "Reviews"}}, "Reviews"),
        ({"name": "Named", "metadata": {"name": "Reviews"}}, "Named"),
        ({"metadata": {"name": 5}}, "parallel tasks"),
    ],
)
def test_the_name_is_the_documents_the_metadatas_or_made(others: dict[str, Any], name: str) -> None:
    assert load(tasks("parallel", {"agent_id": "a"}, **others)).definition.name == name


def test_metadata_is_kept() -> None:
    document = tasks("parallel", {"agent_id": "a"}, metadata={"ticket": 7})

    assert load(document).definition.metadata == {"ticket": 7}


@pytest.mark.parametrize(
    ("document", "pointer", "code"),
    [
        (tasks("graph", {"agent_id": "a"}, {"agent_id": "a"}), "/tasks/0", "duplicate_name"),
        (tasks("graph", {"agent_id": "a", "depends_on": ["b"]}), "/tasks/0/depends_on/0", "unknown_task"),
        (tasks("graph", {"agent_id": "a", "depends_on": ["a"]}), "/tasks/0/depends_on", "circle"),
        (tasks("parallel", {"agent_id": "a"}, AFTER_A), "/tasks/1/depends_on", "contradiction"),
        (tasks("sequential", AFTER_A, {"agent_id": "a"}), "/tasks/0/depends_on", "contradiction"),
    ],
)
def test_tasks_that_make_no_order_are_an_issue(document: Any, pointer: str, code: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(document)

    assert [(issue.pointer, issue.code) for issue in caught.value.issues] == [(pointer, code)]


def test_a_sequential_task_may_say_that_it_depends_on_an_earlier_one() -> None:
    document = tasks("sequential", {"agent_id": "a"}, {"agent_id": "b"}, {"agent_id": "c", "depends_on": ["a"]})

    assert run(document).started == ["a", "b", "c"]
