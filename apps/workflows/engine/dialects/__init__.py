"""The ways to write a workflow; each is turned into the canonical one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.workflows.engine.dialects import canonical, goal, state_machine, steps, tasks
from apps.workflows.engine.dialects.state_machine import NodeClasses
from apps.workflows.engine.dialects.translation import Translation
from apps.workflows.engine.errors import DefinitionError, Issue
from apps.workflows.engine.spec import Definition, parse_definition

_LOOKED_FOR = (
    "'nodes' (a workflow), 'steps' (a list of steps), 'workflow_type' with 'tasks', 'start_at' with 'nodes' of a "
    "'class', or 'type' with 'query' or 'input' (a goal)"
)


@dataclass(frozen=True)
class Loaded:
    """A definition, and the document it was made from."""

    definition: Definition
    dialect: str
    translation: Translation

    def relocate(self, issue: Issue) -> Issue:
        """An issue of the definition, pointing into the document that was sent."""
        return self.translation.relocate(issue)


def load(document: Any, *, node_classes: NodeClasses | None = None) -> Loaded:
    """The definition that a document (parsed JSON or YAML) describes in any dialect.

    `node_classes` names the classes that nodes of a state machine may have, each with the classes or ids it
    routes to; without it they are not checked. Raises DefinitionError, whose issues point into `document`.
    """
    name, translate = _recognise(document, node_classes)
    translation = translate(document)
    try:
        return Loaded(parse_definition(translation.document), name, translation)
    except DefinitionError as error:
        raise DefinitionError([translation.relocate(issue) for issue in error.issues]) from None


def _recognise(document: Any, node_classes: NodeClasses | None) -> tuple[str, Callable[[Any], Translation]]:
    if not isinstance(document, Mapping):
        raise DefinitionError([Issue("", "not_an_object", "A workflow is an object.", f"It has {_LOOKED_FOR}.")])
    if "start_at" in document or _has_classes(document.get("nodes")):
        return "state_machine", lambda found: state_machine.translate(found, node_classes)
    if "nodes" in document or "edges" in document:
        return "canonical", canonical.translate
    if "steps" in document:
        return "steps", steps.translate
    if "workflow_type" in document or "tasks" in document:
        return "tasks", tasks.translate
    if "type" in document and {"query", "input"} & document.keys():
        return "goal", goal.translate
    raise DefinitionError([Issue("", "unknown_shape", f"This is no workflow: it has none of {_LOOKED_FOR}.")])


def _has_classes(nodes: Any) -> bool:
    bodies = [body for body in nodes.values() if isinstance(body, Mapping)] if isinstance(nodes, Mapping) else []
    return any("class" in body for body in bodies) and not any("type" in body for body in bodies)
