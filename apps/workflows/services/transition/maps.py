"""Maps: one node run per item, so many at a time, and an output when all have node_end."""

from collections import deque
from typing import TYPE_CHECKING, Any

import orjson

from apps.common.errors import Fatal
from apps.common.json import JSON, NotJson
from apps.workflows.engine.errors import ExpressionError
from apps.workflows.nodes.base import Completed, Failed, NodeError
from apps.workflows.nodes.registry import INLINE
from apps.workflows.services.transition import again, node_end, starting
from apps.workflows.services.transition.failures import error_of
from apps.workflows.services.transition.names import ending_names, map_spec
from apps.workflows.store import progress
from apps.workflows.store.rows import HELD, NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition


_BATCH = 200  # items read at once where they only decide
_AHEAD = 25  # further items read with the next, as whoever settles one settles the next


def make_items(transition: "Transition", parent: NodeRow, items: list[JSON]) -> None:
    """Adds a node run for every item and starts as many as may run at a time."""
    if len(items) > transition.limits.items:
        message = f"The map has {len(items):,} items; at most {transition.limits.items:,} are allowed."
        transition.bring(parent, Failed(NodeError("limit_items", message)))
    elif "items" in parent.state:
        _restart_items(transition, parent)
    else:
        parent.state["items"] = len(items)
        _begin(transition, parent, [_make_item(transition, parent, *pair) for pair in enumerate(items)])


def end_item(transition: "Transition", row: NodeRow, outcome: Completed | Failed) -> None:
    """Ends an item: the next one gets its turn, or the map has its output or its failure."""
    parent = _map_of(transition, row)
    outcome = _saved(transition, row, node_end.packed(transition, row, outcome))
    spec = map_spec(transition, parent)
    collects = spec.on_item_error == "collect" or transition.node_of(row).spec.on_error == "continue"
    node_end.end(transition, row, outcome, handled=collects)
    parent.open_items -= 1
    transition.note(parent)
    if isinstance(outcome, Failed) and not collects:
        message = f"Item {row.index} failed: {outcome.error.message}"
        details = {"index": row.index, "error": outcome.error.as_json()}
        transition.bring(parent, Failed(NodeError("item_failed", message, details=details)))
    elif parent.open_items:
        _start_next(transition, parent)
    else:
        _complete(transition, parent)


def _make_item(transition: "Transition", parent: NodeRow, index: int, item: JSON) -> NodeRow:
    return starting.make(
        transition,
        parent.node,
        parent.visit,
        parent.depth,
        index=index,
        parent_id=parent.id,
        available_at=HELD,
        state={"item": item},
    )


def _restart_items(transition: "Transition", parent: NodeRow) -> None:
    """Starts the items again that did not complete the last time."""
    visit = [(parent.node, parent.visit)]
    stopped = [row for row in progress.stopped_nodes(transition.tx, transition.run.id, visit) if row.is_item]
    for row in stopped:
        transition.rows[row.id] = row
        again.restart(transition, row)
        row.available_at = HELD
    transition.inline_left = 0  # what starts again is seen in the queue first, as engine/states.py has it
    _begin(transition, parent, stopped)
    if not stopped:
        _complete(transition, parent)


def _begin(transition: "Transition", parent: NodeRow, items: list[NodeRow]) -> None:
    parent.open_items = len(items)
    transition.held[parent.id] = deque(items)
    for _ in range(min(len(items), map_spec(transition, parent).max_parallel)):
        _start_next(transition, parent)


def _start_next(transition: "Transition", parent: NodeRow) -> None:
    """Gives the next item its turn: one that was made here, or else one from the table.

    The map remembers where it is, so that the items that have ended are not gone through again for each.
    """
    waiting = transition.held.get(parent.id)
    if not waiting:
        found = progress.next_items(transition.tx, parent.id, parent.state.get("next", 0), _wanted(transition, parent))
        transition.rows.update((row.id, row) for row in found)
        waiting = transition.held[parent.id] = deque(found)
    if waiting:
        row = waiting.popleft()
        parent.state["next"] = row.index + 1
        starting.activate(transition, row)


def _wanted(transition: "Transition", parent: NodeRow) -> int:
    """How many items to read at once: as many as may get their turn in this transaction."""
    decides = map_spec(transition, parent).body.type in INLINE
    return min(transition.inline_left, _BATCH) + 1 if decides else len(transition.news) + _AHEAD


def _saved(transition: "Transition", row: NodeRow, outcome: Completed | Failed) -> Completed | Failed:
    """The outcome, after the item's context keys have been written; a failure where that cannot be."""
    if isinstance(outcome, Completed):
        try:
            body = transition.node_of(row)
            node_end.save(transition, row, body, ending_names(transition, row, body, outcome))
        except (ExpressionError, Fatal, NotJson) as error:
            return Failed(error_of(error))
    return outcome


def _complete(transition: "Transition", parent: NodeRow) -> None:
    """The map's output: the items' outputs in order; a failed item stands there as `{"error": {...}}`."""
    ends = {
        row["index"]: (row["output"], _loaded(row["error"])) for row in progress.item_outputs(transition.tx, parent.id)
    }
    here = (row for row in transition.rows.values() if row.parent_id == parent.id)
    ends.update((row.index, (row.output, row.error)) for row in here)
    ordered = [ends[index] for index in sorted(ends)]
    outputs = transition.packer.unpack(transition.tx, [text for text, _ in ordered])
    errors = [error for _, error in ordered]
    items = [{"error": error} if error else output for error, output in zip(errors, outputs, strict=True)]
    transition.bring(parent, Completed(items))


def _map_of(transition: "Transition", row: NodeRow) -> NodeRow:
    if row.parent_id is None:
        raise ValueError(f"The node run {row.id} is no item.")
    return transition.rows[row.parent_id]


def _loaded(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
