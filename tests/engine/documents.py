"""Short ways to write definitions in tests."""

from typing import Any

from apps.workflows.engine.compiler import Compiled, compile_definition
from apps.workflows.engine.errors import DefinitionError, Issue
from apps.workflows.engine.spec import parse_definition


def workflow(nodes: dict[str, Any], edges: list[Any] | None = None, **others: Any) -> dict[str, Any]:
    """A canonical document; a node without a type is a `set` node, an edge may be written "a b"."""
    bodies = {name: body if "type" in body else {"type": "set", **body} for name, body in nodes.items()}
    written = [
        dict(zip(("from", "to"), edge.split(), strict=True)) if isinstance(edge, str) else edge for edge in edges or []
    ]
    return {"name": "test", "nodes": bodies, "edges": written, **others}


def compiled(nodes: dict[str, Any], edges: list[Any] | None = None, **others: Any) -> Compiled:
    """The same, compiled."""
    return compile_definition(parse_definition(workflow(nodes, edges, **others)))


def issues_of(document: Any, catalogue: Any = None) -> list[Issue]:
    """What is wrong with a canonical document; none is an empty list."""
    try:
        compile_definition(parse_definition(document), catalogue)
    except DefinitionError as error:
        return list(error.issues)
    return []


def only_issue(document: Any, catalogue: Any = None) -> Issue:
    """The one thing that is wrong."""
    (issue,) = issues_of(document, catalogue)
    return issue
