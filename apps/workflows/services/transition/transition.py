"""What follows from news about a run's nodes, worked out in memory and written at once.

The order of one transaction: lock the run, read the node runs that the news is about, decide
everything (retries, edges, starts, what only decides), then write all of it. Nothing here talks to
anything but the database, and nothing is published before the commit.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from apps.common.errors import Fatal
from apps.common.ids import uuid7
from apps.common.json import JSON, NotJson
from apps.workflows.engine.compiler import Compiled, CompiledNode
from apps.workflows.engine.errors import ExpressionError, LoopLimitError
from apps.workflows.engine.marking import Completion, Marking, Start, advance, begin
from apps.workflows.engine.retry import RetryPolicy, next_delay
from apps.workflows.engine.routing import Decision, UnknownRouteError, decide_edges, route_of
from apps.workflows.engine.spec import MapNode, Retry
from apps.workflows.engine.states import CLAIMABLE, NODE_ENDED, RUN_ENDED, NodeStatus, RunStatus
from apps.workflows.nodes.base import ChildRequest, Completed, Failed, ItemsRequest, NodeError, Outcome, Waiting
from apps.workflows.nodes.registry import INLINE
from apps.workflows.services.transition import people
from apps.workflows.services.transition.saving import prepare_write
from apps.workflows.services.transition.scope import Scope
from apps.workflows.store import progress
from apps.workflows.store.database import Transaction
from apps.workflows.store.rows import HELD, ContextRow, EventRow, NodeRow, RunRow
from apps.workflows.store.values import Packer

StartChild = Callable[["Transition", NodeRow, ChildRequest], UUID]


@dataclass(frozen=True)
class Limits:
    """Where a run that got out of hand ends as failed."""

    visits: int = 10_000  # node visits of a run
    items: int = 100_000  # items of one map
    nesting: int = 10  # runs that start runs
    inline: int = 500  # deciding nodes evaluated in one transaction; the rest goes on in the next


@dataclass
class Consequences:
    """What is left to do after the commit."""

    claimed: list[NodeRow] = field(default_factory=list)  # for the worker that brought the news to go on with
    version: UUID | None = None  # of the run's definition
    hints: list[tuple[UUID, str]] = field(default_factory=list)  # node runs to tell workers of, with their queues
    ended_child_of: UUID | None = None  # the node run that waited for this run, if it has ended
    orphaned: bool = False  # its child runs have nobody to report to any more


class Transition:
    """One run, locked, while news about its nodes is worked in."""

    def __init__(
        self,
        tx: Transaction,
        run: RunRow,
        compiled: Compiled,
        *,
        start_child: StartChild,
        limits: Limits,
        inline: bool,
        randomness: Callable[[], float],
    ) -> None:
        self.tx, self.run, self.compiled = tx, run, compiled
        self.limits, self.randomness, self.start_child = limits, randomness, start_child
        self.inline_left = limits.inline if inline else 0
        self.packer = Packer(run.organization_id)
        self.scope = Scope(tx, run, compiled, self.packer)
        self._set_marking(Marking.from_json(run.marking) if run.marking else Marking())
        self.rows: dict[UUID, NodeRow] = {}  # read or made in this transaction
        self.made: dict[UUID, NodeRow] = {}
        self.changed: dict[UUID, NodeRow] = {}
        self.ready: list[NodeRow] = []  # queued in this transaction, not held
        self.events: list[EventRow] = []
        self.context: list[tuple[ContextRow, EventRow]] = []
        self.attempts: list[tuple[NodeRow, str]] = []
        self.held: dict[UUID, deque[NodeRow]] = {}  # items made here that wait for their turn, by map
        self.news: deque[tuple[NodeRow, Outcome]] = deque()
        self.consequences = Consequences(version=run.version_id)

    @property
    def touched(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.changed or self.made or self.events or self.ready)

    # ---- what callers bring -----------------------------------------------------------------------

    def read(self, ids: Sequence[UUID]) -> None:
        """Fetches the node runs that the news is about, and the maps they are items of."""
        self.rows.update(progress.nodes(self.tx, [node for node in ids if node not in self.rows]))

    def begin(self) -> None:
        """Starts the entry nodes of a new run."""
        marking, starts = begin(self.compiled.graph)
        self._set_marking(marking)
        self._start_all(starts)
        self.work_in()

    def start_active(self) -> None:
        """Starts the nodes that the marking of a forked run holds as active."""
        for name, active in self.marking.active.items():
            self._start(Start(name, active.visit, active.depth), reason="fork")
        self.work_in()

    def bring(self, row: NodeRow, outcome: Outcome) -> None:
        """News about a node run; `work_in` does the rest."""
        self.news.append((row, outcome))

    def take(self, row: NodeRow) -> None:
        """Starts a queued node run now: a deciding one is evaluated, any other is the first to be claimed."""
        if self.run.status is RunStatus.PENDING:
            self.run.status, self.run.started_at = RunStatus.RUNNING, self.run.now
            self._event("run.started")
        if row.handler in INLINE:
            self.inline_left = max(self.inline_left, 1)
            self._activate(row)
            self.work_in()
        else:
            self.ready.append(row)

    def offer(self, row: NodeRow) -> None:
        """Tells workers once more of a node run that may be queued."""
        if row.status in CLAIMABLE:
            self.rows[row.id] = row
            self.ready.append(row)

    def work_in(self) -> None:
        """Follows all news to their end."""
        while self.news:
            row, outcome = self.news.popleft()
            if self.run.status in RUN_ENDED or row.status in NODE_ENDED:
                continue
            self._hear(row, outcome)
        self._finish_if_over()

    def write(self, *, worker: UUID | None = None, go_on_with: int = 0) -> Consequences:
        """Writes everything; up to `go_on_with` of the node runs that became ready are claimed for `worker`."""
        self._claim(worker, go_on_with)
        self._settle_run_status()
        self.packer.write(self.tx)
        self._number_context()
        progress.insert_nodes(self.tx, [row for row in self.made.values()])
        progress.update_nodes(self.tx, [row for row in self.changed.values() if row.id not in self.made])
        progress.end_attempts(self.tx, self.attempts)
        progress.open_attempts(self.tx, self.consequences.claimed)
        progress.insert_events(self.tx, self.run, self.events)
        progress.insert_context(self.tx, self.run.id, [write for write, _ in self.context])
        progress.update_run(self.tx, self.run, self.marking.as_json())
        return self.consequences

    # ---- news -------------------------------------------------------------------------------------

    def _hear(self, row: NodeRow, outcome: Outcome) -> None:
        if isinstance(outcome, Waiting):
            self._wait(row, outcome)
        elif isinstance(outcome, Failed) and (delay := self._retry_delay(row, outcome.error)) is not None:
            self._retry(row, outcome.error, delay)
        elif row.is_item:
            self._end_item(row, outcome)
        else:
            self._end_visit(row, outcome)

    def _wait(self, row: NodeRow, outcome: Waiting) -> None:
        was_running = row.status is NodeStatus.RUNNING
        row.status, row.waiting_for = NodeStatus.WAITING, outcome.waits_for
        row.available_at = self._due(outcome)
        row.state |= outcome.state
        row.started_at = row.started_at or self.run.now
        row.deadline_at = None
        if was_running:
            self.attempts.append((row, "waiting"))
        self._changed(row)
        self._event("node.waiting", row, waits_for=outcome.waits_for, until=row.available_at)
        if isinstance(outcome.request, ItemsRequest):
            self._make_items(row, outcome.request.items)
        elif isinstance(outcome.request, ChildRequest):
            self._make_child(row, outcome.request)
        elif outcome.request is not None:
            people.ask(self, row, outcome.request)

    def _due(self, outcome: Waiting) -> datetime | None:
        if outcome.due_in is None:
            return outcome.due_at
        return self.run.now + timedelta(seconds=outcome.due_in)

    def _retry_delay(self, row: NodeRow, error: NodeError) -> float | None:
        policy = self._policy(row)
        attempt = max(row.attempt, 1)
        return next_delay(
            policy,
            attempt=attempt,
            retryable=error.retryable,
            randomness=self.randomness(),
            retry_after=error.retry_after,
        )

    def _policy(self, row: NodeRow) -> RetryPolicy:
        retry: Retry | None = self.node_of(row).spec.retry
        return retry.policy() if retry else RetryPolicy()

    def _retry(self, row: NodeRow, error: NodeError, delay: float) -> None:
        if row.waiting_for == "items":
            progress.cancel_items(self.tx, row.id)
        self._end_attempt(row, error)
        row.status, row.waiting_for = NodeStatus.RETRYING, ""
        row.available_at = self.run.now + timedelta(seconds=delay)
        row.error, row.worker, row.deadline_at = error.as_json(), None, None
        self._changed(row)
        self._event("node.retrying", row, attempt=row.attempt, delay=round(delay, 3), error=error.as_json())

    def _end_attempt(self, row: NodeRow, error: NodeError | None) -> None:
        row.error = error.as_json() if error else None
        outcome = "completed" if error is None else "timeout" if error.code == "timeout" else "failed"
        if row.worker is not None:
            self.attempts.append((replace(row), outcome))

    # ---- the end of a visit -----------------------------------------------------------------------

    def _end_visit(self, row: NodeRow, outcome: Completed | Failed) -> None:
        outcome = self._packed(row, outcome)
        try:
            decision = self._decide(row, outcome)
        except (ExpressionError, UnknownRouteError, LoopLimitError) as error:
            outcome = Failed(_error_of(error))
            decision = self._decide_after(row, outcome)
        self._end(row, outcome, handled=decision.handled)
        if isinstance(outcome, Failed) and not decision.handled:
            self.fail_run(outcome.error, row)
            return
        for number in decision.taken:
            edge = self.compiled.graph.edges[number]
            self._event("edge.taken", row, edge=number, to=self.compiled.graph.nodes[edge.target], route=edge.route)
        marking, starts = advance(self.compiled.graph, self.marking, Completion(row.node, decision.taken))
        self._set_marking(marking)
        self._start_all(starts)

    def _decide(self, row: NodeRow, outcome: Completed | Failed) -> Decision:
        """The edges that are taken; the node's context keys are written on the way."""
        node = self.compiled.node(row.node)
        names = self._ending_names(row, node, outcome)
        route = None
        if isinstance(outcome, Completed):
            self._save(row, node, names)
            route = outcome.route or route_of(outcome.output)
        failed = isinstance(outcome, Failed)
        decision = decide_edges(self.compiled, self.marking, row.node, failed=failed, route=route, scope=names)
        if isinstance(outcome, Completed) and outcome.refused:
            asking = [number for number in decision.taken if self._asks(number)]
            return Decision(asking, decision.handled)
        return decision

    def _decide_after(self, row: NodeRow, outcome: Failed) -> Decision:
        """The edges of a node whose end could not be decided: those for its failure, if they can."""
        try:
            return self._decide(row, outcome)
        except (ExpressionError, LoopLimitError):
            return Decision((), handled=False)

    def _asks(self, number: int) -> bool:
        edge = self.compiled.graph.edges[number]
        return edge.when is not None or edge.route is not None or edge.on == "always"

    def _ending_names(self, row: NodeRow, node: CompiledNode, outcome: Completed | Failed) -> dict[str, Any]:
        result = {"error": outcome.error.as_json()} if isinstance(outcome, Failed) else {"output": outcome.output}
        missing = {"output": None} if isinstance(outcome, Failed) else {"error": None}
        return self.scope.names(node.ending_needs, visit=row.visit, **result, **missing, **self._item_names(row))

    def _save(self, row: NodeRow, node: CompiledNode, names: Mapping[str, Any]) -> None:
        """Renders and checks every key before any is written."""
        writes = [
            prepare_write(self.scope, self.compiled, row, key, template.render(names))
            for key, template in node.save.items()
        ]
        for write in writes:
            packed = self.packer.pack(write.value)
            extra = {"conflicts_with": write.conflicts_with} if write.conflicts_with else {}
            event = EventRow("context.changed", row, {"key": write.key, "value": _preview(write.value), **extra})
            self.events.append(event)
            self.context.append((ContextRow(write.key, 0, write.rank, packed, row.node, row.id), event))
            self.scope.wrote(write.key, write.rank, write.value, row.node)

    def _packed(self, row: NodeRow, outcome: Completed | Failed) -> Completed | Failed:
        """The outcome with its output stored in the row; one that cannot be stored is a failure."""
        if isinstance(outcome, Failed):
            return outcome
        try:
            row.output = self.packer.pack(outcome.output)
        except (Fatal, NotJson) as error:
            return Failed(_error_of(error))
        return outcome

    def _end(self, row: NodeRow, outcome: Completed | Failed, *, handled: bool) -> None:
        error = outcome.error if isinstance(outcome, Failed) else None
        if error and row.waiting_for == "items":
            self._cancel_items(row)
        if error and row.waiting_for == "child":
            self.consequences.orphaned = True
        self._end_attempt(row, error)
        row.status = NodeStatus.FAILED if error else NodeStatus.COMPLETED
        row.output = None if error else row.output
        row.completed_fence = row.fence
        row.waiting_for, row.available_at, row.deadline_at = "", None, None
        row.started_at = row.started_at or self.run.now
        row.finished_at = self.run.now
        self._changed(row)
        self.scope.saw(row, None if isinstance(outcome, Failed) else outcome.output)
        if error:
            self._event("node.failed", row, error=error.as_json(), handled=handled)
        else:
            self._event(
                "node.completed", row, output=_preview(outcome.output if isinstance(outcome, Completed) else None)
            )

    # ---- starts -----------------------------------------------------------------------------------

    def _start_all(self, starts: Iterable[Start]) -> None:
        for start in starts:
            if self.run.visits >= self.limits.visits:
                message = f"The run has started {self.run.visits:,} nodes, the limit."
                self.fail_run(NodeError("limit_nodes", message), None)
                return
            self.run.visits += 1
            self._start(start)

    def _start(self, start: Start, reason: str | None = None) -> None:
        node = self.compiled.node(start.node)
        row = self._make(start.node, start.visit, start.depth, node)
        self._event("node.queued", row, reason=reason)
        self._activate(row)

    def _make(self, name: str, visit: int, depth: int, node: CompiledNode, **others: Any) -> NodeRow:
        row = NodeRow(
            id=uuid7(),
            run_id=self.run.id,
            organization_id=self.run.organization_id,
            node=name,
            visit=visit,
            index=others.pop("index", -1),
            depth=depth,
            handler=node.spec.type,
            status=NodeStatus.QUEUED,
            priority=self.run.priority,
            available_at=others.pop("available_at", self.run.now),
            timeout=node.spec.timeout,
            **others,
        )
        self.rows[row.id] = self.made[row.id] = row
        return row

    def _activate(self, row: NodeRow) -> None:
        """Evaluates a deciding node at once; lets a worker have any other."""
        handler = INLINE.get(row.handler)
        if handler is None:
            self._queue_work(row)
        elif self.inline_left <= 0 or self.run.status is RunStatus.PAUSED:
            self._queue(row)
        else:
            self.inline_left -= 1
            row.attempt = max(row.attempt, 1)
            row.available_at = self.run.now
            fields = self._rendered(row)
            if isinstance(fields, Failed):
                self.bring(row, fields)
                return
            row.input = self._pack_input(row, fields)
            self._changed(row)
            self.bring(row, handler.begin(self.node_of(row).spec, fields))

    def _queue_work(self, row: NodeRow) -> None:
        if row.input is None:
            fields = self._rendered(row)
            if isinstance(fields, Failed):
                self.bring(row, fields)
                return
            try:
                row.input = self.packer.pack(fields.get("input"))
            except Fatal as error:
                self.bring(row, Failed(_error_of(error)))
                return
            row.state |= {name: value for name, value in fields.items() if name != "input"}
        self._queue(row)

    def _queue(self, row: NodeRow) -> None:
        row.status = NodeStatus.QUEUED
        row.available_at = self.run.now
        self._changed(row)
        self.ready.append(row)

    def _rendered(self, row: NodeRow) -> dict[str, Any] | Failed:
        node = self.node_of(row)
        try:
            names = self.scope.names(node.starting_needs, visit=row.visit, **self._item_names(row))
            return {name: template.render(names) for name, template in node.templates.items()}
        except ExpressionError as error:
            return Failed(_error_of(error))

    def _pack_input(self, row: NodeRow, fields: Mapping[str, Any]) -> str | None:
        if row.handler in ("set", "map"):
            return None
        try:
            return self.packer.pack(fields["input"] if set(fields) == {"input"} else dict(fields))
        except Fatal:
            return None  # only shown; what the node does with it has its own limits

    # ---- maps -------------------------------------------------------------------------------------

    def _make_items(self, parent: NodeRow, items: Sequence[JSON]) -> None:
        node = self.compiled.node(parent.node)
        if len(items) > self.limits.items:
            message = f"The map has {len(items):,} items; at most {self.limits.items:,} are allowed."
            self.bring(parent, Failed(NodeError("limit_items", message)))
            return
        if parent.attempt > 1 or parent.state.get("items"):
            self._restart_items(parent)
            return
        parent.open_items = len(items)
        parent.state["items"] = len(items)
        body, spec = node.body, node.spec
        if body is None or not isinstance(spec, MapNode):
            return
        for index, item in enumerate(items):
            row = self._make(
                parent.node,
                parent.visit,
                parent.depth,
                body,
                index=index,
                parent_id=parent.id,
                available_at=HELD,
                state={"item": item},
            )
            if index < spec.max_parallel:
                self._activate(row)
            else:
                self.held.setdefault(parent.id, deque()).append(row)

    def _restart_items(self, parent: NodeRow) -> None:
        """Queues again the items of a map that did not complete."""
        stopped = [
            row for row in progress.stopped_nodes(self.tx, self.run.id, [(parent.node, parent.visit)]) if row.is_item
        ]
        parent.open_items = len(stopped)
        spec = self.compiled.node(parent.node).spec
        width = spec.max_parallel if isinstance(spec, MapNode) else 1
        for place, row in enumerate(stopped):
            self.rows[row.id] = row
            self.restart(row)
            if place < width:
                self._activate(row)
            else:
                row.available_at = HELD
                self.held.setdefault(parent.id, deque()).append(row)
        if not stopped:
            self._close_map(parent)

    def _end_item(self, row: NodeRow, outcome: Completed | Failed) -> None:
        parent = self.rows[row.parent_id] if row.parent_id else row
        spec = self.compiled.node(parent.node).spec
        outcome = self._packed(row, outcome)
        if isinstance(outcome, Completed):
            try:
                body = self.node_of(row)
                self._save(row, body, self._ending_names(row, body, outcome))
            except ExpressionError as error:
                outcome = Failed(_error_of(error))
        collect = isinstance(spec, MapNode) and (
            spec.on_item_error == "collect" or self.node_of(row).spec.on_error == "continue"
        )
        self._end(row, outcome, handled=collect)
        parent.open_items -= 1
        self._changed(parent)
        if isinstance(outcome, Failed) and not collect:
            self._fail_map(parent, row, outcome.error)
        elif parent.open_items == 0:
            self._close_map(parent)
        else:
            self._next_item(parent)

    def _next_item(self, parent: NodeRow) -> None:
        if waiting := self.held.get(parent.id):
            self._activate(waiting.popleft())
            return
        known = [row.id for row in self.rows.values() if row.parent_id == parent.id]
        for row in progress.next_items(self.tx, parent.id, 1, known):
            self.rows[row.id] = row
            self._activate(row)

    def _fail_map(self, parent: NodeRow, item: NodeRow, error: NodeError) -> None:
        message = f"Item {item.index} failed: {error.message}"
        self.bring(
            parent, Failed(NodeError("item_failed", message, details={"index": item.index, "error": error.as_json()}))
        )

    def _cancel_items(self, parent: NodeRow) -> None:
        here = [row for row in self.rows.values() if row.parent_id == parent.id]
        for row in here:
            if row.status not in NODE_ENDED:
                row.status, row.finished_at, row.available_at = NodeStatus.CANCELLED, self.run.now, None
                self._changed(row)
        progress.cancel_items(self.tx, parent.id, [row.id for row in here])
        self.ready = [row for row in self.ready if row.parent_id != parent.id]
        self.consequences.orphaned = True

    def _close_map(self, parent: NodeRow) -> None:
        """The map's output: the items' outputs in order; a failed item stands there as `{"error": {...}}`."""
        stored = {row["index"]: row for row in progress.item_outputs(self.tx, parent.id)}
        here = {row.index: row for row in self.rows.values() if row.parent_id == parent.id}
        indices = sorted({*stored, *here})
        texts = [here[index].output if index in here else stored[index]["output"] for index in indices]
        errors = [here[index].error if index in here else _loaded(stored[index]["error"]) for index in indices]
        outputs = self.packer.unpack(self.tx, texts)
        self.bring(
            parent,
            Completed([{"error": error} if error else output for error, output in zip(errors, outputs, strict=True)]),
        )

    # ---- child runs -------------------------------------------------------------------------------

    def _make_child(self, row: NodeRow, request: ChildRequest) -> None:
        if self.run.nesting + 1 > self.limits.nesting:
            message = f"Runs are nested {self.limits.nesting} deep, the limit."
            self.bring(row, Failed(NodeError("limit_nesting", message)))
            return
        try:
            row.state["child"] = str(self.start_child(self, row, request))
        except Fatal as error:
            self.bring(row, Failed(NodeError(error.code, str(error))))

    # ---- the run ----------------------------------------------------------------------------------

    def fail_run(self, error: NodeError, row: NodeRow | None) -> None:
        """Ends the run as failed; whatever is in flight is cancelled. The marking stays, for a retry."""
        where = {"node": row.node, "visit": row.visit, "node_run": str(row.id)} if row else {}
        self.run.error = error.as_json() | where
        self._stop(RunStatus.FAILED, "run.failed", error=self.run.error)

    def cancel_run(self, by: str) -> None:
        """Ends the run as cancelled, with everything in flight."""
        self._stop(RunStatus.CANCELLED, "run.cancelled", by=by)

    def restart(self, row: NodeRow) -> None:
        """Makes a failed or cancelled node run as if it had not been tried."""
        row.status, row.waiting_for = NodeStatus.QUEUED, ""
        row.attempt = row.lost_count = 0
        row.error = row.output = row.worker = row.finished_at = row.started_at = None
        row.available_at = self.run.now
        self._changed(row)

    def resume(self, rows: Sequence[NodeRow]) -> None:
        """Starts the stopped visits of a failed run again."""
        self.run.status, self.run.error = RunStatus.RUNNING, None
        for row in rows:
            self.rows[row.id] = row
            self.restart(row)
            self._event("node.queued", row, reason="retry")
            self._activate(row)
        self.work_in()

    def lose(self, row: NodeRow, *, most: int) -> None:
        """Takes a node run back from a worker that died; after `most` losses it fails as poison."""
        self.attempts.append((replace(row), "lost"))
        row.lost_count += 1
        if not self.node_of(row).spec.idempotent:
            message = (
                "The worker died while the node ran; it is not idempotent, so whether its effect happened is not known."
            )
            self.bring(row, Failed(NodeError("effect_unknown", message)))
        elif row.lost_count >= most:
            message = f"The node was lost {row.lost_count} times with the worker that ran it; it is not tried again."
            self.bring(row, Failed(NodeError("worker_lost", message)))
        else:
            self._hand_back(row, reason="worker_lost")
        self.work_in()

    def release(self, row: NodeRow) -> None:
        """Takes a node run back from a worker that stops; nothing is counted."""
        self.attempts.append((replace(row), "released"))
        self._hand_back(row, reason="worker_stopped")

    def _hand_back(self, row: NodeRow, *, reason: str) -> None:
        row.attempt = max(0, row.attempt - 1)
        row.deadline_at = None
        self._event("node.queued", row, reason=reason, worker=row.worker and str(row.worker))
        self._queue(row)

    def event(self, kind: str, row: NodeRow | None = None, **data: Any) -> None:
        """Adds an event to the run's history."""
        self._event(kind, row, **data)

    def _stop(self, status: RunStatus, event: str, **data: Any) -> None:
        self.run.status = status
        self.news.clear()
        self.ready.clear()
        here = [row for row in self.rows.values() if row.status not in NODE_ENDED]
        for row in here:
            if row.status is NodeStatus.RUNNING:
                self.attempts.append((row, "cancelled"))
            row.status, row.waiting_for, row.available_at = NodeStatus.CANCELLED, "", None
            row.finished_at = self.run.now
            self._changed(row)
            if not row.is_item:
                self._event("node.cancelled", row)
        for cancelled in progress.cancel_nodes(self.tx, self.run.id, [row.id for row in self.rows.values()]):
            if cancelled["index"] < 0:
                self.events.append(EventRow("node.cancelled", self._stub(cancelled)))
        self.events.append(EventRow(event, None, data))
        self._ended()

    def _stub(self, cancelled: Mapping[str, Any]) -> NodeRow:
        return NodeRow(
            id=cancelled["id"], run_id=self.run.id, organization_id=self.run.organization_id, node=cancelled["node"],
            visit=cancelled["visit"], index=cancelled["index"], depth=0, handler="", status=NodeStatus.CANCELLED,
        )  # fmt: skip

    def _finish_if_over(self) -> None:
        if self.run.status in RUN_ENDED or not self.marking.is_over:
            return
        try:
            self.run.output = self.packer.pack(self._output())
        except (ExpressionError, Fatal) as error:
            self.fail_run(_error_of(error), None)
            return
        self.run.status = RunStatus.COMPLETED
        for name in self._skipped():
            self.events.append(EventRow("node.skipped", None, {"node": name}))
        self.events.append(EventRow("run.completed", None, {}))
        self._ended()

    def _output(self) -> JSON:
        names = self.scope.names(self.compiled.output_needs)
        if self.compiled.outputs is not None:
            return self.compiled.outputs.render(names)
        ends = names["nodes"].items()
        return {name: node["output"] for name, node in ends if node["status"] == NodeStatus.COMPLETED}

    def _skipped(self) -> list[str]:
        started = progress.visited(self.tx, self.run.id) | {row.node for row in self.made.values()}
        return [name for name in self.compiled.graph.nodes if name not in started]

    def _ended(self) -> None:
        self.consequences.ended_child_of = self.run.parent_node_id
        self.consequences.orphaned = self.run.status is not RunStatus.COMPLETED

    def _settle_run_status(self) -> None:
        """A run waits when all that is active is waits and approvals."""
        if self.run.status not in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING):
            return
        known = self.rows.values()
        if any(
            row.status in CLAIMABLE or row.status is NodeStatus.RUNNING or row.waiting_for == "child" for row in known
        ):
            working = True
        else:
            working = progress.still_working(self.tx, self.run.id, [row.id for row in known])
        waits = any(row.status is NodeStatus.WAITING for row in known) or not working
        if working and self.run.status is RunStatus.WAITING:
            self.run.status = RunStatus.RUNNING
        elif not working and waits:
            self.run.status = RunStatus.WAITING

    # ---- writing ----------------------------------------------------------------------------------

    def _claim(self, worker: UUID | None, most: int) -> None:
        """Gives the worker what it goes on with, and leaves hints for the rest."""
        mine: list[NodeRow] = []
        if worker is not None and self.run.status in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING):
            mine = [row for row in self.ready if row.handler not in INLINE][:most]
        for row in mine:
            self._hand_over(row, worker)
        self.consequences.claimed = [replace(row) for row in mine]
        for row in self.ready:
            if row.status in CLAIMABLE:
                row.hinted_at = self.run.now
                self._changed(row)
                self.consequences.hints.append((row.id, row.queue))

    def _hand_over(self, row: NodeRow, worker: UUID | None) -> None:
        row.status, row.worker = NodeStatus.RUNNING, worker
        row.fence += 1
        row.attempt += 1
        row.started_at = row.started_at or self.run.now
        row.deadline_at = self.run.now + timedelta(seconds=row.timeout) if row.timeout else None
        self.run.status = RunStatus.RUNNING
        self._changed(row)
        self._event("node.started", row, attempt=row.attempt, worker=str(worker))

    def _number_context(self) -> None:
        """The version of a context key is the number of the event that tells of it."""
        numbers = {id(event): self.run.last_seq + place for place, event in enumerate(self.events, start=1)}
        self.context = [(replace(write, seq=numbers[id(event)]), event) for write, event in self.context]

    def _set_marking(self, marking: Marking) -> None:
        self.marking = self.scope.marking = marking

    def _changed(self, row: NodeRow) -> None:
        self.changed[row.id] = row

    def _event(self, kind: str, row: NodeRow | None = None, **data: Any) -> None:
        self.events.append(EventRow(kind, row, {name: value for name, value in data.items() if value is not None}))

    def node_of(self, row: NodeRow) -> CompiledNode:
        """The node that a node run executes: of a map's item, the inner node."""
        node = self.compiled.node(row.node)
        return node.body if row.is_item and node.body else node

    def _item_names(self, row: NodeRow) -> dict[str, Any]:
        spec = self.compiled.node(row.node).spec
        if not row.is_item or not isinstance(spec, MapNode):
            return {}
        return {spec.as_: row.state.get("item"), "index": row.index}


def _error_of(error: Exception) -> NodeError:
    if isinstance(error, ExpressionError):
        return NodeError(error.code, error.message + (f" {error.fix}" if error.fix else ""))
    if isinstance(error, Fatal):
        return NodeError(error.code, str(error))
    codes = {UnknownRouteError: "unknown_route", LoopLimitError: "loop_limit", NotJson: "invalid_output"}
    return NodeError(next((code for kind, code in codes.items() if isinstance(error, kind)), "error"), str(error))


def _preview(value: JSON) -> JSON:
    """A value as far as an event shows it: large ones stay where they are."""
    text = str(value)
    return value if len(text) <= 2_000 else {"preview": text[:1_000], "truncated": True}


def _loaded(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
