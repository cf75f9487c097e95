"""`workflow_type: sequential | parallel | graph` with `tasks`: each task is one agent's."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field

from apps.workflows.engine.dialects.ordering import Ordering, ordering
from apps.workflows.engine.dialects.translation import (
    Translation,
    check_size,
    member,
    node_ids,
    parsed,
    stop_on,
    template,
    titled,
    without_empty,
)
from apps.workflows.engine.errors import Issue, pointer
from apps.workflows.engine.parts import Part
from apps.workflows.engine.spec import Name


class Task(Part):
    """What one agent is to do."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    agent_id: Name
    agent_role: Name
    input_data: dict[str, Any] = Field(default_factory=dict)
    depends_on: list[str] = Field(default_factory=list)


class Tasks(Part):
    """The document."""

    workflow_type: Literal["sequential", "parallel", "graph"]
    tasks: list[Task] = Field(min_length=1)
    name: Name | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None


def translate(document: dict[str, Any]) -> Translation:
    """The canonical document: a node for each task, by its agent's id."""
    check_size(document, "tasks")
    shape = parsed(Tasks, document)
    names = [task.agent_id for task in shape.tasks]
    written = ordering("tasks", names, [task.depends_on for task in shape.tasks])
    _check_dependencies(shape, written)
    ids = node_ids(names, "task")
    nodes: dict[str, Any] = {}
    edges: list[dict[str, str]] = []
    origins: dict[str, str] = {}
    for number, (node_id, task) in enumerate(zip(ids, shape.tasks, strict=True)):
        before = _before(shape.workflow_type, number, written)
        nodes[node_id] = titled(_node(task, _context(shape, before, ids)), node_id, task.agent_id)
        edges += [{"from": ids[other], "to": node_id} for other in before]
        origins |= _origins(node_id, number)
    header = {"name": _name(shape), "description": shape.description, "nodes": nodes, "edges": edges}
    return Translation(document, without_empty(header | {"metadata": shape.metadata}), origins)


def _check_dependencies(shape: Tasks, written: Ordering) -> None:
    """The order that a type of workflow has by itself must not contradict `depends_on`."""
    message = f"In a {shape.workflow_type} workflow a task does not wait for these."
    stop_on(
        [
            Issue(pointer("tasks", number, "depends_on"), "contradiction", message, "Use workflow_type: graph.")
            for number, needed in enumerate(written.needed)
            if (shape.workflow_type == "parallel" and needed)
            or (shape.workflow_type == "sequential" and max(needed, default=-1) >= number)
        ]
    )


def _before(workflow_type: str, number: int, written: Ordering) -> Sequence[int]:
    if workflow_type == "graph":
        return written.needed[number]
    return [number - 1] if workflow_type == "sequential" and number else []


def _context(shape: Tasks, before: Sequence[int], ids: Sequence[str]) -> dict[str, Any]:
    """What a task is told of the tasks before it."""
    if not before:
        return {}
    outputs = {shape.tasks[other].agent_id: template(member("nodes", ids[other]) + ".output") for other in before}
    if shape.workflow_type == "sequential":
        (only,) = outputs.values()
        return {"context": only}
    return {"context": outputs}


def _node(task: Task, context: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "agent", "agent": task.agent_role, "input": {**task.input_data, **context}}


def _origins(node_id: str, number: int) -> dict[str, str]:
    node, task = pointer("nodes", node_id), pointer("tasks", number)
    return {node: task, node + "/agent": task + "/agent_role", node + "/input": task + "/input_data"}


def _name(shape: Tasks) -> str:
    named = (shape.metadata or {}).get("name")
    return shape.name or (named[:200] if named and isinstance(named, str) else f"{shape.workflow_type} tasks")
