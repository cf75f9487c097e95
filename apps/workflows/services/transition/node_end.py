"""How a node run ends, of a visit or of a map's item: its output, what it saves, and what it leaves behind."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from apps.common.errors import Fatal
from apps.common.json import JSON, NotJson
from apps.workflows.engine.compiler import CompiledNode
from apps.workflows.engine.states import NODE_ENDED, NodeStatus
from apps.workflows.nodes.base import Completed, Failed, NodeError
from apps.workflows.services.transition.failures import error_of
from apps.workflows.services.transition.saving import prepare_write
from apps.workflows.store import progress
from apps.workflows.store.rows import ContextRow, EndedAttempt, EventRow, NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition

_PREVIEW_CHARACTERS = 2_000  # of a value in an event; a longer one is read where it is stored


def end(transition: "Transition", row: NodeRow, outcome: Completed | Failed, *, handled: bool) -> None:
    """Notes the end of a node run, and tells of it."""
    error = outcome.error if isinstance(outcome, Failed) else None
    if error:
        let_go(transition, row)
    end_attempt(transition, row, error)
    row.status = NodeStatus.FAILED if error else NodeStatus.COMPLETED
    row.output = None if error else row.output
    row.completed_fence = row.fence
    row.waiting_for, row.available_at, row.deadline_at = "", None, None
    row.started_at = row.started_at or transition.run.now
    row.finished_at = transition.run.now
    if isinstance(outcome, Completed) and "degraded" in row.state:
        row.state["degraded"] = {**row.state["degraded"], "by": dict(outcome.by)}
    transition.note(row)
    output = None if isinstance(outcome, Failed) else outcome.output
    transition.scope.saw(row, output)
    if error:
        transition.tell("node.failed", row, error=error.as_json(), handled=handled)
    else:
        transition.tell("node.completed", row, output=_preview(output), degraded=row.state.get("degraded"))


def packed(transition: "Transition", row: NodeRow, outcome: Completed | Failed) -> Completed | Failed:
    """The outcome with its output stored in the row; one that cannot be stored is a failure."""
    if isinstance(outcome, Failed):
        return outcome
    try:
        row.output = transition.packer.pack(outcome.output)
    except (Fatal, NotJson) as error:
        return Failed(error_of(error))
    return outcome


def save(transition: "Transition", row: NodeRow, node: CompiledNode, names: Mapping[str, Any]) -> None:
    """Writes the node's context keys; every one is rendered and checked before any is written."""
    rendered = node.render_save(names).items()
    writes = [prepare_write(transition.scope, transition.compiled, row, key, value) for key, value in rendered]
    texts = [transition.packer.pack(write.value) for write in writes]
    for write, text in zip(writes, texts, strict=True):
        extra = {"conflicts_with": write.conflicts_with} if write.conflicts_with else {}
        event = EventRow("context.changed", row, {"key": write.key, "value": _preview(write.value), **extra})
        transition.events.append(event)
        stored = ContextRow(write.key, 0, write.rank, text, row.node, row.id)
        transition.context.append((stored, event))
        transition.scope.wrote(write.key, write.rank, write.value, row.node)


def end_attempt(transition: "Transition", row: NodeRow, error: NodeError | None) -> None:
    """Notes how the current try of a node run ended."""
    row.error = error.as_json() if error else None
    outcome = "completed" if error is None else "timeout" if error.code == "timeout" else "failed"
    if row.worker is not None:
        transition.attempts.append(EndedAttempt.of(row, outcome))


def let_go(transition: "Transition", row: NodeRow) -> None:
    """Cancels what a failed node run was waiting for."""
    if row.waiting_for == "items":
        _cancel_items(transition, row)
    elif row.waiting_for in ("child", "agent"):
        transition.consequences.orphaned = True


def _cancel_items(transition: "Transition", parent: NodeRow) -> None:
    """Cancels the items that have not ended."""
    here = [row for row in transition.rows.values() if row.parent_id == parent.id]
    for row in here:
        if row.status not in NODE_ENDED:
            transition.cancel(row)
    progress.cancel_items(transition.tx, parent.id, [row.id for row in here])
    transition.ready = [row for row in transition.ready if row.parent_id != parent.id]
    transition.held.pop(parent.id, None)
    transition.consequences.orphaned = True


def _preview(value: JSON) -> JSON:
    """A value as far as an event shows it."""
    text = str(value)
    if len(text) <= _PREVIEW_CHARACTERS:
        return value
    return {"preview": text[: _PREVIEW_CHARACTERS // 2], "truncated": True}
