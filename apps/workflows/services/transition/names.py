"""The names that the expressions of a node may read."""

from typing import TYPE_CHECKING, Any

from apps.workflows.engine.compiler import CompiledNode
from apps.workflows.engine.spec import MapNode
from apps.workflows.nodes.base import Completed, Failed
from apps.workflows.store.rows import NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition


def starting_names(transition: "Transition", row: NodeRow, node: CompiledNode) -> dict[str, Any]:
    """The names that expressions about the start of a node run may read."""
    return transition.scope.names(node.starting_needs, visit=row.visit, **_item_names(transition, row))


def ending_names(
    transition: "Transition", row: NodeRow, node: CompiledNode, outcome: Completed | Failed
) -> dict[str, Any]:
    """The names that expressions about the end of a node run may read."""
    failed = isinstance(outcome, Failed)
    output = None if isinstance(outcome, Failed) else outcome.output
    error = outcome.error.as_json() if isinstance(outcome, Failed) else None
    items = _item_names(transition, row)
    names = transition.scope.names(node.ending_needs, visit=row.visit, output=output, error=error, **items)
    own = {"status": "failed" if failed else "completed", "visit": row.visit, "output": output, "error": error}
    own |= {} if failed else {"degraded": row.degraded}
    if not row.is_item and row.node in names["nodes"]:
        names["nodes"] = names["nodes"] | {row.node: {key: value for key, value in own.items() if value is not None}}
    return names


def map_spec(transition: "Transition", row: NodeRow) -> MapNode:
    """The map that a node run is, or is an item of."""
    spec = transition.compiled.node(row.node).spec
    if not isinstance(spec, MapNode):
        raise TypeError(f"'{row.node}' is no map.")
    return spec


def _item_names(transition: "Transition", row: NodeRow) -> dict[str, Any]:
    """The names that only an item's expressions may read."""
    if not row.is_item:
        return {}
    return {map_spec(transition, row).as_: row.state.get("item"), "index": row.index}
