"""The Context of a node in a run: what it knows of its run, how long it may go on, and what people see of it."""

import math
from functools import partial
from typing import Any

from apps.common.json import JSON
from apps.observability.run_log import RunLog
from apps.workflows.engine.states import NODE_ENDED, NodeStatus
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.attempt_context.calls import CallingContext
from apps.workflows.services.attempt_context.questions import AskingContext
from apps.workflows.services.last_answers import last_answer
from apps.workflows.services.leases import Leases
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import progress, workers
from apps.workflows.store.database import look
from apps.workflows.store.rows import EventRow, NodeRow
from apps.workflows.store.values import read_value


class AttemptContext(CallingContext, AskingContext):
    """What the handler of a claimed node run sees."""

    def __init__(self, row: NodeRow, leases: Leases) -> None:
        super().__init__(row, leases)
        self.organization_id, self.run_id = row.organization_id, row.run_id
        self.node, self.visit, self.attempt = row.node, row.visit, row.attempt
        self.session_name = row.state.get("session")
        self.stage = (row.state.get("degraded") or {}).get("stage")
        self.input = read_value(row.organization_id, row.input)
        self.log = self._lines = RunLog(row.organization_id, row.run_id, row.id, row.node, row.attempt)
        self._report: dict[str, Any] | None = None

    def last_answer(self, oldest: float | None) -> JSON:
        """See NodeContext.last_answer."""
        return last_answer(self.row, oldest)

    # ---- cancellation and time --------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """See Context.cancelled."""
        return self.overdue or not self.leases.is_wanted(self.row)

    @property
    def given_up(self) -> bool:
        """See Context.given_up."""
        with look() as tx:
            return progress.node_status(tx, self.row.id) in NODE_ENDED

    @property
    def overdue(self) -> bool:
        """Whether the attempt has had all its time."""
        return self.row.timeout is not None and self.leases.age(self.row) > self.row.timeout

    @property
    def is_over(self) -> bool:
        """See Context.is_over; asks the row, as this process may only have been given up for dead."""
        if self.overdue:
            return True
        with look() as tx:
            return not workers.is_open(tx, self.row.id)

    # ---- what people see --------------------------------------------------------------------------

    def progress(self, fraction: float | None, message: str = "") -> None:
        """See Context.progress; between two looks of the process only the latest report counts."""
        known = fraction is not None and math.isfinite(fraction)
        shown = min(max(float(fraction or 0), 0.0), 1.0) if known else None
        self._report = {"fraction": shown, "message": str(message)[:500]}

    def flush(self) -> None:
        """Writes what the node has told since the last call: its log and the latest report of progress."""
        self._lines.flush(self._holds)
        told = self.told()
        if told and self.leases.is_wanted(self.row):
            act_on_run(self.row.run_id, partial(self._tell, told), memory=self.leases.memory)

    def told(self) -> list[EventRow]:
        """Gives the events that are not written yet, and forgets them."""
        calls, self._calls_told = self._calls_told, []
        report, self._report = self._report, None
        reports = [EventRow("node.progress", self.row, report)] if report else []
        return [*(EventRow("llm.called", self.row, call) for call in calls), *reports]

    def _holds(self) -> bool:
        """Whether nobody has taken the node over, by the row and not by what this process believes."""
        with look() as tx:
            return self.row.id in workers.still_held(tx, {self.row.id: self.row.fence})

    def _tell(self, told: list[EventRow], transition: Transition) -> None:
        transition.read([self.row.id])
        current = transition.rows[self.row.id]
        if current.fence == self.row.fence and current.status is NodeStatus.RUNNING:
            for event in told:
                transition.tell(event.type, current, **event.data)
