"""What follows from news about a run's nodes, worked out in memory and written at once.

The order: read the run and the node runs that the news is about (or remember them), decide everything (retries,
edges, starts, what only decides), then write all of it, on the condition that nobody has changed the run meanwhile.
Nothing here talks to anything but the database, and nothing is published before the commit.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from apps.workflows.engine.compiler import Compiled, CompiledNode
from apps.workflows.engine.marking import Marking, Start, begin
from apps.workflows.engine.states import CLAIMABLE, NODE_ENDED, RUN_ENDED, NodeStatus, RunStatus
from apps.workflows.nodes.base import ChildRequest, Outcome
from apps.workflows.nodes.registry import INLINE
from apps.workflows.services.transition import ending, starting
from apps.workflows.services.transition.claiming import Room, claim, no_room
from apps.workflows.services.transition.consequences import Consequences
from apps.workflows.services.transition.limits import Limits
from apps.workflows.services.transition.news import hear
from apps.workflows.services.transition.scope import Scope
from apps.workflows.services.transition.written import decided
from apps.workflows.store import progress, writing
from apps.workflows.store.database import Transaction
from apps.workflows.store.rows import HELD, ContextRow, EndedAttempt, EventRow, NodeRow, RunRow
from apps.workflows.store.values import Packer

StartChild = Callable[["Transition", NodeRow, ChildRequest], UUID]

_MOST_HELD = 200  # items of a map that are remembered while they wait for their turn


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
        self.mark(Marking.from_json(run.marking) if run.marking else Marking())
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
        self.mark(earlier.marking)
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
        self.mark(marking)
        starting.start_all(self, starts)
        self.work_in()

    def start_active(self) -> None:
        """Starts the nodes that the marking of a forked run holds as active."""
        for name, active in self.marking.active.items():
            starting.start_visit(self, Start(name, active.visit, active.depth), reason="fork")
        self.work_in()

    def take(self, row: NodeRow) -> None:
        """Starts a queued node run now: a deciding one is evaluated, any other is the first to be claimed."""
        if self.run.status is RunStatus.PENDING:
            self.run.status, self.run.started_at = RunStatus.RUNNING, self.run.now
            self.tell("run.started")
        if row.handler in INLINE:
            self.inline_left = max(self.inline_left, 1)
            starting.activate(self, row)
            self.work_in()
        elif all(row is not other for other in self.ready):  # two threads of a worker may ask for it at once
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
                hear(self, row, outcome)
        ending.finish_if_over(self)

    def write(self, *, worker: UUID | None = None, room: Room = no_room) -> Consequences:
        """Writes everything; as many of the node runs that became ready as `room` has are claimed for `worker`.

        Raises Changed, with nothing written, when somebody else has changed the run.
        """
        claim(self, worker, room)
        ending.settle_status(self)
        writing.write(self.tx, self.run, self.marking.as_json(), decided(self))
        return self.consequences

    def add(self, new: writing.NewRun) -> Consequences:
        """Writes the run itself too, which is not there yet."""
        claim(self, None, no_room)
        ending.settle_status(self)
        writing.add(self.tx, self.run, self.marking.as_json(), decided(self), new)
        return self.consequences

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

    def mark(self, marking: Marking) -> None:
        """Where the run stands from here on."""
        self.marking = self.scope.marking = marking
