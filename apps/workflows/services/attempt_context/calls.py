"""Calls of tools by an attempt: through their circuit, into the ledger of effects, and into the journal."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from apps.common.database import on_thread
from apps.common.json import JSON
from apps.integrations import registry
from apps.integrations import services as tools
from apps.workflows.engine.spec import Node
from apps.workflows.nodes.base import Completed, Deferred
from apps.workflows.services import circuits, effects
from apps.workflows.services.admission import Admission
from apps.workflows.services.attempt_context.journal import JournaledContext
from apps.workflows.services.leases import Leases
from apps.workflows.services.told import telling_of_tool
from apps.workflows.store.effects import Call, key_of
from apps.workflows.store.journal import Step
from apps.workflows.store.rows import NodeRow


class CallingContext(JournaledContext):
    """A context whose calls of tools are made once, as far as anybody can tell."""

    def __init__(self, row: NodeRow, leases: Leases) -> None:
        super().__init__(row, leases)
        self._retries = row.attempt > 1 and (row.error or {}).get("code") != "circuit_open"  # that call never went out

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

    def _planned_call(self, number: int, name: str, given: JSON) -> Call | None:
        return effects.planned_call(self.row, number, registry.get(name, self.organization_id), given, self.on_unknown)
