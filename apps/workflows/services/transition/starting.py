"""How a node run begins: its row, its input, and whether it is evaluated here or waits for a worker."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from apps.common.errors import Fatal
from apps.common.ids import uuid7
from apps.common.json import NotJson
from apps.workflows.engine.errors import ExpressionError
from apps.workflows.engine.marking import Start
from apps.workflows.engine.states import NodeStatus, RunStatus
from apps.workflows.nodes.base import Failed, NodeError
from apps.workflows.nodes.registry import INLINE, handler_of
from apps.workflows.services.transition import ending
from apps.workflows.services.transition.failures import error_of
from apps.workflows.services.transition.names import starting_names
from apps.workflows.store.rows import NodeRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition


def start_all(transition: "Transition", starts: Iterable[Start]) -> None:
    """Starts visits, up to the limit of the run."""
    for start in starts:
        if transition.run.visits >= transition.limits.visits:
            message = f"The run has started {transition.run.visits:,} nodes, the limit."
            ending.fail_run(transition, NodeError("limit_nodes", message))
            return
        start_visit(transition, start)


def start_visit(transition: "Transition", start: Start, reason: str | None = None) -> None:
    """Adds the node run of a visit and gets it going."""
    transition.run.visits += 1
    row = make(transition, start.node, start.visit, start.depth)
    transition.tell("node.queued", row, reason=reason)
    activate(transition, row)


def make(transition: "Transition", name: str, visit: int, depth: int, *, index: int = -1, **others: Any) -> NodeRow:
    """Adds a node run, of a visit or (with its `index`) of a map's item."""
    node = transition.compiled.node(name)
    spec = (node.body if index >= 0 and node.body else node).spec
    row = NodeRow(
        id=uuid7(),
        run_id=transition.run.id,
        organization_id=transition.run.organization_id,
        node=name,
        visit=visit,
        index=index,
        depth=depth,
        handler=handler_of(spec, transition.run.organization_id),
        status=NodeStatus.QUEUED,
        priority=transition.run.priority,
        timeout=spec.timeout,
        **{"available_at": transition.run.now, **others},
    )
    transition.rows[row.id] = transition.made[row.id] = row
    return row


def activate(transition: "Transition", row: NodeRow) -> None:
    """Evaluates a deciding node at once; lets a worker have any other."""
    if row.handler not in INLINE:
        _queue_work(transition, row)
    elif transition.inline_left <= 0 or transition.run.status is RunStatus.PAUSED:
        queue(transition, row)
    else:
        transition.inline_left -= 1
        _evaluate(transition, row)


def queue(transition: "Transition", row: NodeRow) -> None:
    """Makes a node run free to be claimed."""
    row.status = NodeStatus.QUEUED
    row.available_at = transition.run.now
    transition.note(row)
    transition.ready.append(row)


def _evaluate(transition: "Transition", row: NodeRow) -> None:
    row.attempt += 1
    row.available_at = transition.run.now
    transition.note(row)
    fields = _rendered(transition, row)
    if isinstance(fields, Failed):
        transition.bring(row, fields)
        return
    if row.handler not in ("set", "map"):  # what they get is what they give, or their items have it
        _keep_input(transition, row, fields)
    transition.bring(row, INLINE[row.handler].begin(transition.node_of(row).spec, fields))


def _queue_work(transition: "Transition", row: NodeRow) -> None:
    """Renders the input once, so that every attempt gets the same."""
    if row.input is None:
        fields = _rendered(transition, row)
        if isinstance(fields, Failed):
            transition.bring(row, fields)
            return
        try:
            row.input = transition.packer.pack(fields.get("input"))
        except (Fatal, NotJson) as error:
            transition.bring(row, Failed(error_of(error)))
            return
        row.state |= {name: value for name, value in fields.items() if name != "input"}
        if transition.compiled.is_given_others_words(row.node, inputs=transition.run.has_others_input):
            row.state["tainted"] = True
    queue(transition, row)


def _rendered(transition: "Transition", row: NodeRow) -> dict[str, Any] | Failed:
    node = transition.node_of(row)
    try:
        return node.render_fields(starting_names(transition, row, node))
    except ExpressionError as error:
        return Failed(error_of(error))


def _keep_input(transition: "Transition", row: NodeRow, fields: Mapping[str, Any]) -> None:
    """Stores what a deciding node was given, for people to see."""
    try:
        row.input = transition.packer.pack(fields["input"] if set(fields) == {"input"} else dict(fields))
    except (Fatal, NotJson):
        row.input = None  # too large to show; what the node makes of it has limits of its own
