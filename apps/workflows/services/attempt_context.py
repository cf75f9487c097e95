"""The Context of a node in a run: journal, log, progress and cancellation, all under the attempt's fence."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn
from uuid import UUID

from apps.agents.context import Decision
from apps.agents.telling import progress_report
from apps.common.asyncio_loop import Cancelled
from apps.common.database import on_thread, release_connection
from apps.common.errors import Fatal
from apps.common.json import JSON, dumps
from apps.integrations import registry
from apps.integrations import services as tools
from apps.integrations.language_models import Request
from apps.observability.run_log import RunLog
from apps.workflows.engine.spec import Node
from apps.workflows.engine.states import NODE_ENDED, NodeStatus
from apps.workflows.nodes.base import (
    ApprovalRequest,
    ChildRequest,
    Completed,
    Deferred,
    Failed,
    LeftToAgent,
    NeedsNews,
    NodeContext,
    Waiting,
)
from apps.workflows.services import circuits, effects
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.admission import Admission
from apps.workflows.services.last_answers import last_answer
from apps.workflows.services.leases import Leases
from apps.workflows.services.model_calls import ask_for
from apps.workflows.services.offered_workflows import check_child, outcome_of_child
from apps.workflows.services.told import Told, telling_of_tool, told_of_model
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import journal, progress, workers
from apps.workflows.store.database import look
from apps.workflows.store.effects import Call, key_of
from apps.workflows.store.journal import Step
from apps.workflows.store.rows import NodeRow
from apps.workflows.store.values import read_value

STEPS_OF_AN_AGENT = 100_000  # no agent takes more; each that works at a visit counts its steps from a place of its own


class AttemptContext(NodeContext):
    """What the handler of a claimed node run sees."""

    can_be_left = True

    def __init__(self, row: NodeRow, leases: Leases) -> None:
        self.row, self.leases = row, leases
        self.organization_id, self.run_id, self.node_run_id = row.organization_id, row.run_id, row.id
        self.number = row.state.get("tries", 0) + row.attempt
        self.left_task = UUID(row.state["task"]) if "task" in row.state else None
        self.node, self.visit, self.attempt = row.node, row.visit, row.attempt
        self.session_name, self.tainted = row.state.get("session"), "tainted" in row.state
        self.stage = (row.state.get("degraded") or {}).get("stage")
        self.input = read_value(row.organization_id, row.input)
        self.log = self._lines = RunLog(row.organization_id, row.run_id, row.id, row.node, row.attempt)
        self._recorded: dict[int, tuple[str, JSON]] | None = None
        self._position = 0
        self._report: dict[str, Any] | None = None
        self._told: list[Told] = []
        self._deferred: Deferred | None = None  # a call cannot be made now: the attempt is over, whatever its code does
        self._retries = row.attempt > 1 and (row.error or {}).get("code") != "circuit_open"  # that call never went out
        self._under_way: set[asyncio.Future[None]] = set()  # async calls

    # ---- journal ----------------------------------------------------------------------------------

    def step(self, name: str, fn: Callable[..., Any], *args: Any) -> Any:
        """See Context.step."""
        step = self._next_step(name)
        known, result = self._recorded_step(step)
        return result if known else self._record(step, fn(*args))

    async def astep(self, name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """See Context.astep."""
        step = self._next_step(name)
        known, result = await self._arecorded_step(step)
        if known:
            return result
        made = await fn(*args)
        return await on_thread(self._record, step, made)

    def _next_step(self, name: str) -> Step:
        # Here and not on a thread: steps that run beside each other are numbered in the order they were called in.
        self._position += 1
        return Step(self._position - 1, name)

    def _recorded_step(self, step: Step) -> tuple[bool, JSON]:
        self.check_cancelled()
        self._check_deferred()
        if self._recorded is None:
            self._recorded = journal.read(self.row.organization_id, self.row.id)
            release_connection()
        if step.position not in self._recorded:
            return False, None
        recorded, result = self._recorded[step.position]
        if recorded != step.name[:200]:
            was = f"Step {step.position + 1} was '{recorded}' in an earlier attempt and is '{step.name}' now"
            raise RuntimeError(f"{was}; steps are made in the same order every time.")
        return True, result

    async def _arecorded_step(self, step: Step) -> tuple[bool, JSON]:
        try:
            return await on_thread(self._recorded_step, step)
        except Deferred:
            await self._end_of_calls()
            raise

    def _record(self, step: Step, result: JSON) -> JSON:
        try:
            if not journal.write(self.row, step, result):
                raise Cancelled("The attempt was given up while it ran.")
        finally:
            release_connection()  # there are more slots than connections, and what comes next may take its time
        return result

    async def _ask(self, request: Request, known: int) -> JSON:
        try:
            self._check_deferred()
            asked = request.model_copy(update={"model": self.asks_instead}) if self.asks_instead else request
            record = await ask_for(self.row, self.agent, asked, known)
        except Deferred as deferred:
            await self._give_up(deferred)
        self._told.append(told_of_model(record))
        return record

    async def aask_person(self, message: str, payload: JSON, assignees: Sequence[str] = ()) -> Decision:
        """See Context.aask_person: the node waits, and what it has done so far is not done again."""
        request = ApprovalRequest(message, list(assignees), None, "fail", payload)
        decision = await self._news("decision", payload, request, dict)
        return Decision(**decision)

    async def arun_workflow(self, name: str, input: JSON) -> JSON:  # noqa: A002
        """See Context.arun_workflow: the node waits, as a node does that runs a workflow."""
        await on_thread(check_child, self.organization_id, name, input)
        request = ChildRequest(name, None, input)
        ended = await self._news(f"workflow:{name}", input, request, partial(outcome_of_child, self.organization_id))
        if "error" in ended:
            raise Fatal(ended["error"], code="child_failed")
        return ended["output"]

    async def _news(
        self, name: str, subject: JSON, request: ApprovalRequest | ChildRequest, read: Callable[[Any], JSON]
    ) -> JSON:
        """What came of a request, out of the journal or of what the node was told when it stopped waiting."""
        step = self._next_step(name)
        known, result = await self._arecorded_step(step)
        if known:
            return result
        digest = hashlib.sha256(dumps([step.position, subject])).hexdigest()
        news = self.row.state.get("news") or {}
        if news.get("digest") != digest:
            await self._give_up(NeedsNews(request, digest))
        told = {name: value for name, value in news.items() if name != "digest"}
        return await on_thread(lambda: self._record(replace(step, began=None), read(told)))

    async def _give_up(self, deferred: Deferred) -> NoReturn:
        """Ends the attempt, when the calls beside this one have ended."""
        self._deferred = deferred
        await self._end_of_calls()
        raise deferred

    def leave_to_agent(self, task: UUID) -> NoReturn:
        """See Context.leave_to_agent."""
        self._deferred = LeftToAgent(task)
        raise self._deferred

    @property
    def deferral(self) -> Failed | Waiting | None:
        """What the attempt ends with where a call could not be made."""
        return None if self._deferred is None else self._deferred.outcome

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

    def hand_over(self, number: int) -> None:
        """See Context.hand_over."""
        self._position = number * STEPS_OF_AN_AGENT
        self._calls = itertools.count(number * STEPS_OF_AN_AGENT + 1)

    # ---- what people see --------------------------------------------------------------------------

    def progress(self, fraction: float | None, message: str = "") -> None:
        """See Context.progress; between two looks of the process only the latest report counts."""
        self._report = progress_report(fraction, message)

    def flush(self) -> None:
        """Writes what the node has told since the last call: its log and the latest report of progress."""
        self._lines.flush(self._holds)
        told = self.told()
        if told and self.leases.is_wanted(self.row):
            act_on_run(self.row.run_id, partial(self._tell, told), memory=self.leases.memory)

    def told(self) -> list[Told]:
        """Gives what is not written yet, and forgets it."""
        told = self._told[:]
        del self._told[: len(told)]  # the list stays: calls under way tell it how they end
        report, self._report = self._report, None
        return [*told, Told("node.progress", report)] if report else told

    def _holds(self) -> bool:
        """Whether nobody has taken the node over, by the row and not by what this process believes."""
        with look() as tx:
            return self.row.id in workers.still_held(tx, {self.row.id: self.row.fence})

    def _tell(self, told: list[Told], transition: Transition) -> None:
        transition.read([self.row.id])
        current = transition.rows[self.row.id]
        if current.fence == self.row.fence and current.status is NodeStatus.RUNNING:
            for one in told:
                transition.tell(one.type, current, **one.facts_at(transition.run.now))

    # ---- effects ----------------------------------------------------------------------------------

    def idempotency_key(self, call: int | None = None) -> str:
        """See Context.idempotency_key: run, node, visit, index and call."""
        return key_of(self.row, call)

    def call_own_tool(self, name: str, given: JSON) -> JSON:
        """See NodeContext.call_own_tool."""
        self.check_cancelled()
        tool_ctx, admission = self.tool_context(0), self._admission(name, given)
        invoke = circuits.through(circuits.shared, admission.circuit, partial(tools.invoke, name, given, tool_ctx))
        look_up = partial(tools.look_up, name, given, tool_ctx)
        call = self._planned_call(0, name, given)
        with self._admitted(admission):
            return invoke() if call is None else effects.make_call(call, invoke, look_up)

    def last_answer(self, oldest: float | None) -> JSON:
        """See NodeContext.last_answer."""
        return last_answer(self.row, oldest)

    def happened(self, spec: Node) -> Completed | None:
        """The result of a node that must not run twice, where it is known that it ran."""
        if spec.idempotent or self.row.fence == 1:
            return None
        known = effects.own_effect(self.row)
        return None if known is None else Completed(known.result)

    def _make_call(self, call: int, name: str, given: JSON) -> JSON:
        step = self._next_step(f"tool:{name}")
        known, result = self._recorded_step(step)
        if known:
            return result
        tool_ctx, admission = self.tool_context(call), self._admission(name, given)
        invoke = circuits.through(circuits.shared, admission.circuit, partial(tools.invoke, name, given, tool_ctx))
        look_up = partial(tools.look_up, name, given, tool_ctx)
        planned = self._planned_call(call, name, given)
        with self._admitted(admission):
            if planned is None:
                return self._record(step, invoke())
            return effects.make_call(planned, invoke, look_up, step)

    async def _make_call_async(self, call: int, name: str, given: JSON, call_id: str) -> JSON:
        step = self._next_step(f"tool:{name}")
        known, result = await self._arecorded_step(step)
        if known:
            return result
        if not call_id:
            return await self._make_new_call(call, name, given, step)
        with telling_of_tool(self._told, tool=name, call_id=call_id, step=step.position, call=call):
            return await self._make_new_call(call, name, given, step)

    async def _make_new_call(self, call: int, name: str, given: JSON, step: Step) -> JSON:
        tool_ctx, admission = self.tool_context(call), await on_thread(self._admission, name, given)
        ainvoke = partial(tools.ainvoke, name, given, tool_ctx)
        invoke = circuits.through_async(circuits.shared, admission.circuit, ainvoke, on_thread)
        look_up = partial(tools.look_up, name, given, tool_ctx)
        planned = await on_thread(self._planned_call, call, name, given)
        async with self._admitted_async(admission):
            if planned is None:
                return await on_thread(self._record, step, await invoke())
            return await effects.make_call_async(planned, invoke, look_up, step, on_thread)

    def _admission(self, name: str, given: JSON) -> Admission:
        tool = registry.get(name, self.organization_id)
        is_retry, self._retries = self._retries, False  # only the first call that the journal does not answer
        return Admission(
            circuit=(self.organization_id, tool.circuit_of(given)),
            concurrency=tool.concurrency,
            worker=self.leases.worker,
            is_retry=is_retry,
        )

    @contextmanager
    def _admitted(self, admission: Admission) -> Iterator[None]:
        try:
            self._check_deferred()
            admission.enter()
            yield
        except Deferred as deferred:
            self._deferred = deferred
            raise
        finally:
            admission.leave()

    @asynccontextmanager
    async def _admitted_async(self, admission: Admission) -> AsyncIterator[None]:
        """Does what `_admitted` does, for async code."""
        under_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._check_deferred()
            self._under_way.add(under_way)
            await on_thread(admission.enter)
            yield
        except Deferred as deferred:
            self._deferred = deferred
            self._under_way.discard(under_way)
            await self._end_of_calls()
            raise
        finally:
            self._under_way.discard(under_way)
            under_way.set_result(None)
            if admission.concurrency is not None:
                await on_thread(admission.leave)

    async def _end_of_calls(self) -> None:
        """Waits for the calls beside one that is deferred: given up on their way, their effects would be in doubt."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    def _check_deferred(self) -> None:
        if self._deferred is not None:
            raise self._deferred

    def _planned_call(self, number: int, name: str, given: JSON) -> Call | None:
        return effects.planned_call(self.row, number, registry.get(name, self.organization_id), given, self.on_unknown)
