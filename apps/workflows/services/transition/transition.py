"""What follows from news about a run's nodes, worked out in memory and written at once.

The order: read the run and the node runs that the news is about (or remember them), decide everything (retries,
edges, starts, what only decides), then write all of it, on the condition that nobody has changed the run meanwhile.
Nothing here talks to anything but the database, and nothing is published before the commit.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from apps.common.errors import Fatal
from apps.common.ids import uuid7
from apps.common.json import JSON, NotJson
from apps.workflows.engine.compiler import Compiled, CompiledNode
from apps.workflows.engine.errors import ExpressionError, LoopLimitError
from apps.workflows.engine.marking import Completion, Marking, Start, advance, begin
from apps.workflows.engine.routing import Decision, UnknownRouteError, decide_edges, route_of
from apps.workflows.engine.states import CLAIMABLE, NODE_ENDED, RUN_ENDED, NodeStatus, RunStatus
from apps.workflows.nodes.base import ChildRequest, Completed, Failed, ItemsRequest, NodeError, Outcome, Waiting
from apps.workflows.nodes.registry import INLINE, handler_of, served
from apps.workflows.services.transition import again, ending, maps, people
from apps.workflows.services.transition.failures import error_of
from apps.workflows.services.transition.saving import prepare_write
from apps.workflows.services.transition.scope import Scope
from apps.workflows.store import progress, writing
from apps.workflows.store.database import Transaction
from apps.workflows.store.rows import HELD, ContextRow, EndedAttempt, EventRow, NodeRow, RunRow
from apps.workflows.store.values import Packer

StartChild = Callable[["Transition", NodeRow, ChildRequest], UUID]
Room = Callable[[int], int]  # how many of so many node runs a worker takes

_MOST_HELD = 200  # items of a map that are remembered while they wait for their turn
_PREVIEW_CHARACTERS = 2_000  # of a value in an event; a longer one is read where it is stored


def no_room(wanted: int) -> int:  # noqa: ARG001
    """Takes none."""
    return 0


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
    ended: bool = False  # the run is over
    ended_child_of: UUID | None = None  # the node run that waited for this run, if it has ended
    orphaned: bool = False  # its child runs may have nobody to report to any more


class Transition:
    """One run while news about its nodes is worked in."""

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
        self.ready: list[NodeRow] = []  # queued in this transaction, free to be claimed
        self.held: dict[UUID, deque[NodeRow]] = {}  # items made here that wait for their turn, by map
        self.events: list[EventRow] = []
        self.context: list[tuple[ContextRow, EventRow]] = []
        self.attempts: list[EndedAttempt] = []
        self.news: deque[tuple[NodeRow, Outcome]] = deque()
        self.consequences = Consequences(version=run.version_id)
        self.stirred = self.remembered = False

    def take_over(self, earlier: "Transition") -> None:
        """Starts from what an earlier transition of the run left behind, where nothing has changed since."""
        self.remembered = True
        self._set_marking(earlier.marking)
        self.held = {parent: deque(islice(items, _MOST_HELD)) for parent, items in earlier.held.items() if items}
        held = {row.id for items in self.held.values() for row in items}
        open_rows = (row for row in earlier.rows.values() if row.status not in NODE_ENDED)
        self.rows = {row.id: row for row in open_rows if row.available_at != HELD or row.id in held}
        self.scope.take_over(earlier.scope)

    # ---- what callers bring -----------------------------------------------------------------------

    @property
    def touched(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.changed or self.made or self.events or self.ready or self.stirred)

    def stir(self) -> None:
        """Has the run written although nothing of it changes: rows beside it did, which others must not miss."""
        self.stirred = True

    def read(self, ids: Sequence[UUID]) -> None:
        """Fetches the node runs that the news is about, and the maps they are items of."""
        if missing := [node for node in ids if node not in self.rows]:
            self.rows.update(progress.nodes(self.tx, missing))

    def begin(self) -> None:
        """Starts the entry nodes of a new run."""
        marking, starts = begin(self.compiled.graph)
        self._set_marking(marking)
        self._start_all(starts)
        self.work_in()

    def start_active(self) -> None:
        """Starts the nodes that the marking of a forked run holds as active."""
        for name, active in self.marking.active.items():
            self.start(Start(name, active.visit, active.depth), reason="fork")
        self.work_in()

    def take(self, row: NodeRow) -> None:
        """Starts a queued node run now: a deciding one is evaluated, any other is the first to be claimed."""
        if self.run.status is RunStatus.PENDING:
            self.run.status, self.run.started_at = RunStatus.RUNNING, self.run.now
            self.tell("run.started")
        if row.handler in INLINE:
            self.inline_left = max(self.inline_left, 1)
            self.activate(row)
            self.work_in()
        else:
            self.ready.append(row)

    def offer(self, row: NodeRow) -> None:
        """Tells workers once more of a node run that may be queued."""
        if row.status in CLAIMABLE:
            self.rows[row.id] = row
            self.ready.append(row)

    def bring(self, row: NodeRow, outcome: Outcome) -> None:
        """News about a node run; `work_in` does the rest."""
        self.news.append((row, outcome))

    def work_in(self) -> None:
        """Follows all news to their end."""
        while self.news:
            row, outcome = self.news.popleft()
            if self.run.status not in RUN_ENDED and row.status not in NODE_ENDED:
                self._hear(row, outcome)
        ending.finish_if_over(self)

    def write(self, *, worker: UUID | None = None, room: Room = no_room) -> Consequences:
        """Writes everything; as many of the node runs that became ready as `room` has are claimed for `worker`.

        Raises Changed, with nothing written, when somebody else has changed the run.
        """
        decided = self._settled(worker, room)
        writing.write(self.tx, self.run, self.marking.as_json(), decided)
        return self.consequences

    def add(self, new: writing.NewRun) -> Consequences:
        """Writes the run itself too, which is not there yet."""
        writing.add(self.tx, self.run, self.marking.as_json(), self._settled(None, no_room), new)
        return self.consequences

    def _settled(self, worker: UUID | None, room: Room) -> writing.Decided:
        self._claim(worker, room)
        ending.settle_status(self)
        self._number_context()
        return writing.Decided(
            made=list(self.made.values()),
            changed=[row for row in self.changed.values() if row.id not in self.made],
            started=self.consequences.claimed,
            ended=self.attempts,
            events=self.events,
            context=[write for write, _ in self.context],
            blobs=self.packer.records(),
        )

    # ---- news -------------------------------------------------------------------------------------

    def _hear(self, row: NodeRow, outcome: Outcome) -> None:
        if isinstance(outcome, Waiting):
            self._wait(row, outcome)
        elif isinstance(outcome, Failed) and (delay := again.retry_delay(self, row, outcome.error)) is not None:
            self._let_go(row)
            again.retry(self, row, outcome.error, delay)
        elif row.is_item:
            maps.end_item(self, row, outcome)
        else:
            self._end_visit(row, outcome)

    def _wait(self, row: NodeRow, outcome: Waiting) -> None:
        if row.status is NodeStatus.RUNNING:
            self.attempts.append(EndedAttempt.of(row, "waiting"))
        row.status, row.waiting_for = NodeStatus.WAITING, outcome.waits_for
        row.available_at = self._due(outcome)
        row.state |= outcome.state
        row.started_at = row.started_at or self.run.now
        row.deadline_at = None
        self.note(row)
        self.tell("node.waiting", row, waits_for=outcome.waits_for, until=row.available_at)
        if isinstance(outcome.request, ItemsRequest):
            maps.make_items(self, row, outcome.request.items)
        elif isinstance(outcome.request, ChildRequest):
            self._make_child(row, outcome.request)
        elif outcome.request is not None:
            people.ask(self, row, outcome.request)

    def _due(self, outcome: Waiting) -> datetime | None:
        if outcome.due_in is None:
            return outcome.due_at
        return self.run.now + timedelta(seconds=outcome.due_in)

    def _make_child(self, row: NodeRow, request: ChildRequest) -> None:
        if self.run.nesting + 1 > self.limits.nesting:
            message = f"Runs are nested {self.limits.nesting} deep, the limit."
            self.bring(row, Failed(NodeError("limit_nesting", message)))
            return
        try:
            row.state["child"] = str(self.start_child(self, row, request))
        except Fatal as error:
            self.bring(row, Failed(NodeError(error.code, str(error))))

    # ---- the end of a visit -----------------------------------------------------------------------

    def _end_visit(self, row: NodeRow, outcome: Completed | Failed) -> None:
        outcome = self.packed(row, outcome)
        saved = len(self.context), len(self.events)
        try:
            decision = self._decide(row, outcome)
        except (ExpressionError, UnknownRouteError, LoopLimitError, Fatal, NotJson) as error:
            self._take_back(*saved)
            outcome = Failed(error_of(error))
            decision = self._decide_after(row, outcome)
        self.end(row, outcome, handled=decision.handled)
        if isinstance(outcome, Failed) and not decision.handled:
            ending.fail_run(self, outcome.error, row)
            return
        for number in decision.taken:
            edge = self.compiled.graph.edges[number]
            self.tell("edge.taken", row, edge=number, to=self.compiled.graph.nodes[edge.target], route=edge.route)
        marking, starts = advance(self.compiled.graph, self.marking, Completion(row.node, decision.taken))
        self._set_marking(marking)
        self._start_all(starts)

    def _decide(self, row: NodeRow, outcome: Completed | Failed) -> Decision:
        """The edges that are taken; the node's context keys are written on the way."""
        node = self.compiled.node(row.node)
        names = self.ending_names(row, node, outcome)
        route = None
        if isinstance(outcome, Completed):
            self.save(row, node, names)
            names = self.ending_names(row, node, outcome)  # conditions see what was just saved
            route = outcome.route or route_of(outcome.output)
        return decide_edges(
            self.compiled,
            self.marking,
            row.node,
            failed=isinstance(outcome, Failed),
            route=route,
            scope=names,
            refused=isinstance(outcome, Completed) and outcome.refused,
        )

    def _decide_after(self, row: NodeRow, outcome: Failed) -> Decision:
        """The edges of a node whose end could not be decided: those for its failure, if they can."""
        try:
            return self._decide(row, outcome)
        except (ExpressionError, LoopLimitError):
            return Decision((), handled=False)

    def _take_back(self, writes: int, events: int) -> None:
        """Forgets what a node wrote to the context whose end turned out to be a failure: a retry writes it again."""
        for write, _ in reversed(self.context[writes:]):
            self.scope.unwrote(write.key)
        del self.context[writes:], self.events[events:]

    def ending_names(self, row: NodeRow, node: CompiledNode, outcome: Completed | Failed) -> dict[str, Any]:
        """The names that expressions about the end of a node run may read."""
        failed = isinstance(outcome, Failed)
        output = None if isinstance(outcome, Failed) else outcome.output
        error = outcome.error.as_json() if isinstance(outcome, Failed) else None
        items = maps.item_names(self, row)
        names = self.scope.names(node.ending_needs, visit=row.visit, output=output, error=error, **items)
        own = {"status": "failed" if failed else "completed", "visit": row.visit, "output": output, "error": error}
        if not row.is_item and row.node in names["nodes"]:
            names["nodes"] = names["nodes"] | {
                row.node: {key: value for key, value in own.items() if value is not None}
            }
        return names

    def save(self, row: NodeRow, node: CompiledNode, names: Mapping[str, Any]) -> None:
        """Writes the node's context keys; every one is rendered and checked before any is written."""
        rendered = node.render_save(names).items()
        writes = [prepare_write(self.scope, self.compiled, row, key, value) for key, value in rendered]
        packed = [self.packer.pack(write.value) for write in writes]
        for write, text in zip(writes, packed, strict=True):
            extra = {"conflicts_with": write.conflicts_with} if write.conflicts_with else {}
            event = EventRow("context.changed", row, {"key": write.key, "value": _preview(write.value), **extra})
            self.events.append(event)
            stored = ContextRow(write.key, 0, write.rank, text, row.node, row.id)
            self.context.append((stored, event))
            self.scope.wrote(write.key, write.rank, write.value, row.node)

    def packed(self, row: NodeRow, outcome: Completed | Failed) -> Completed | Failed:
        """The outcome with its output stored in the row; one that cannot be stored is a failure."""
        if isinstance(outcome, Failed):
            return outcome
        try:
            row.output = self.packer.pack(outcome.output)
        except (Fatal, NotJson) as error:
            return Failed(error_of(error))
        return outcome

    def end(self, row: NodeRow, outcome: Completed | Failed, *, handled: bool) -> None:
        """Notes the end of a node run, and tells of it."""
        error = outcome.error if isinstance(outcome, Failed) else None
        if error:
            self._let_go(row)
        self.end_attempt(row, error)
        row.status = NodeStatus.FAILED if error else NodeStatus.COMPLETED
        row.output = None if error else row.output
        row.completed_fence = row.fence
        row.waiting_for, row.available_at, row.deadline_at = "", None, None
        row.started_at = row.started_at or self.run.now
        row.finished_at = self.run.now
        self.note(row)
        output = None if isinstance(outcome, Failed) else outcome.output
        self.scope.saw(row, output)
        if error:
            self.tell("node.failed", row, error=error.as_json(), handled=handled)
        else:
            self.tell("node.completed", row, output=_preview(output))

    def end_attempt(self, row: NodeRow, error: NodeError | None) -> None:
        """Notes how the current try of a node run ended."""
        row.error = error.as_json() if error else None
        outcome = "completed" if error is None else "timeout" if error.code == "timeout" else "failed"
        if row.worker is not None:
            self.attempts.append(EndedAttempt.of(row, outcome))

    def _let_go(self, row: NodeRow) -> None:
        """Cancels what a failed node run was waiting for."""
        if row.waiting_for == "items":
            maps.cancel_items(self, row)
        elif row.waiting_for == "child":
            self.consequences.orphaned = True

    # ---- starts -----------------------------------------------------------------------------------

    def _start_all(self, starts: Iterable[Start]) -> None:
        for start in starts:
            if self.run.visits >= self.limits.visits:
                message = f"The run has started {self.run.visits:,} nodes, the limit."
                ending.fail_run(self, NodeError("limit_nodes", message))
                return
            self.start(start)

    def start(self, start: Start, reason: str | None = None) -> None:
        """Adds the node run of a visit and gets it going."""
        self.run.visits += 1
        row = self.make(start.node, start.visit, start.depth)
        self.tell("node.queued", row, reason=reason)
        self.activate(row)

    def make(self, name: str, visit: int, depth: int, *, index: int = -1, **others: Any) -> NodeRow:
        """Adds a node run, of a visit or (with its `index`) of a map's item."""
        node = self.compiled.node(name)
        spec = (node.body if index >= 0 and node.body else node).spec
        row = NodeRow(
            id=uuid7(),
            run_id=self.run.id,
            organization_id=self.run.organization_id,
            node=name,
            visit=visit,
            index=index,
            depth=depth,
            handler=handler_of(spec),
            status=NodeStatus.QUEUED,
            priority=self.run.priority,
            timeout=spec.timeout,
            **{"available_at": self.run.now, **others},
        )
        self.rows[row.id] = self.made[row.id] = row
        return row

    def activate(self, row: NodeRow) -> None:
        """Evaluates a deciding node at once; lets a worker have any other."""
        if row.handler not in INLINE:
            self._queue_work(row)
        elif self.inline_left <= 0 or self.run.status is RunStatus.PAUSED:
            self.queue(row)
        else:
            self.inline_left -= 1
            self._evaluate(row)

    def queue(self, row: NodeRow) -> None:
        """Makes a node run free to be claimed."""
        row.status = NodeStatus.QUEUED
        row.available_at = self.run.now
        self.note(row)
        self.ready.append(row)

    def _evaluate(self, row: NodeRow) -> None:
        row.attempt += 1
        row.available_at = self.run.now
        self.note(row)
        fields = self._rendered(row)
        if isinstance(fields, Failed):
            self.bring(row, fields)
            return
        if row.handler not in ("set", "map"):  # what they get is what they give, or their items have it
            self._keep_input(row, fields)
        self.bring(row, INLINE[row.handler].begin(self.node_of(row).spec, fields))

    def _queue_work(self, row: NodeRow) -> None:
        """Renders the input once, so that every attempt gets the same."""
        if row.input is None:
            fields = self._rendered(row)
            if isinstance(fields, Failed):
                self.bring(row, fields)
                return
            try:
                row.input = self.packer.pack(fields.get("input"))
            except (Fatal, NotJson) as error:
                self.bring(row, Failed(error_of(error)))
                return
            row.state |= {name: value for name, value in fields.items() if name != "input"}
        self.queue(row)

    def _rendered(self, row: NodeRow) -> dict[str, Any] | Failed:
        node = self.node_of(row)
        try:
            names = self.scope.names(node.starting_needs, visit=row.visit, **maps.item_names(self, row))
            return node.render_fields(names)
        except ExpressionError as error:
            return Failed(error_of(error))

    def _keep_input(self, row: NodeRow, fields: Mapping[str, Any]) -> None:
        """Stores what a deciding node was given, for people to see."""
        try:
            row.input = self.packer.pack(fields["input"] if set(fields) == {"input"} else dict(fields))
        except (Fatal, NotJson):
            row.input = None  # too large to show; what the node makes of it has limits of its own

    # ---- writing ----------------------------------------------------------------------------------

    def _claim(self, worker: UUID | None, room: Room) -> None:
        """Gives the worker what it goes on with, and leaves hints for the rest."""
        mine: list[NodeRow] = []
        if worker is not None and self.run.status in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING):
            here = served()
            mine = [row for row in self.ready if row.handler in here and row.handler not in INLINE]
            mine = mine[: room(len(mine))]
        for row in mine:
            self._hand_over(row, worker)
        self.consequences.claimed = [row.copy() for row in mine]
        for row in self.ready:
            if row.status in CLAIMABLE:
                row.hinted_at = self.run.now
                self.note(row)
                self.consequences.hints.append((row.id, row.queue))

    def _hand_over(self, row: NodeRow, worker: UUID | None) -> None:
        row.status, row.worker = NodeStatus.RUNNING, worker
        row.fence += 1
        row.attempt += 1
        row.started_at = row.started_at or self.run.now
        row.deadline_at = self.run.now + timedelta(seconds=row.timeout) if row.timeout else None
        self.run.status = RunStatus.RUNNING
        self.note(row)
        self.tell("node.started", row, attempt=row.attempt, worker=str(worker))

    def _number_context(self) -> None:
        """The version of a context key is the number of the event that tells of it."""
        numbers = {id(event): self.run.last_seq + place for place, event in enumerate(self.events, start=1)}
        self.context = [(replace(write, seq=numbers[id(event)]), event) for write, event in self.context]

    # ---- small things that all parts share --------------------------------------------------------

    def note(self, row: NodeRow) -> None:
        """Has a node run written at the end."""
        self.changed[row.id] = row

    def tell(self, kind: str, row: NodeRow | None = None, **data: Any) -> None:
        """Adds an event to the run's history."""
        self.events.append(EventRow(kind, row, {name: value for name, value in data.items() if value is not None}))

    def cancel(self, row: NodeRow) -> None:
        """Cancels one node run that has not ended."""
        if row.status is NodeStatus.RUNNING:
            self.attempts.append(EndedAttempt.of(row, "cancelled"))
        row.status, row.waiting_for, row.available_at = NodeStatus.CANCELLED, "", None
        row.finished_at = self.run.now
        self.note(row)

    def node_of(self, row: NodeRow) -> CompiledNode:
        """The node that a node run executes: of a map's item, the inner node."""
        node = self.compiled.node(row.node)
        return node.body if row.is_item and node.body else node

    def _set_marking(self, marking: Marking) -> None:
        self.marking = self.scope.marking = marking


def _preview(value: JSON) -> JSON:
    """A value as far as an event shows it."""
    text = str(value)
    if len(text) <= _PREVIEW_CHARACTERS:
        return value
    return {"preview": text[: _PREVIEW_CHARACTERS // 2], "truncated": True}
