"""What an attempt asks of others: language models, people, and other workflows."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from apps.agents.context import Decision
from apps.common.database import on_thread
from apps.common.errors import Fatal
from apps.common.json import JSON, dumps
from apps.integrations.language_models import Request
from apps.workflows.nodes.base import ApprovalRequest, ChildRequest, Deferred, NeedsNews
from apps.workflows.services.attempt_context.journal import JournaledContext
from apps.workflows.services.leases import Leases
from apps.workflows.services.model_calls import ask_for
from apps.workflows.services.offered_workflows import check_child, outcome_of_child
from apps.workflows.store.rows import NodeRow


class AskingContext(JournaledContext):
    """A context that asks models, and waits without a worker for people and other runs."""

    def __init__(self, row: NodeRow, leases: Leases) -> None:
        super().__init__(row, leases)
        self._calls_told: list[dict[str, Any]] = []  # of language models

    async def _ask(self, request: Request, known: int) -> JSON:
        try:
            self._check_deferred()
            asked = request.model_copy(update={"model": self.asks_instead}) if self.asks_instead else request
            record = await ask_for(self.row, self.agent, asked, known)
        except Deferred as deferred:
            await self._give_up(deferred)
        self._tell_of_call(record)
        return record

    def _tell_of_call(self, record: JSON) -> None:
        self._calls_told.append(
            {
                "model": record["model"],
                "seconds": record["seconds"],
                **{name: record["usage"][name] for name in ("input_tokens", "output_tokens", "cost_micro_usd")},
            }
        )

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
        self, step: str, subject: JSON, request: ApprovalRequest | ChildRequest, read: Callable[[Any], JSON]
    ) -> JSON:
        """What came of a request, out of the journal or of what the node was told when it stopped waiting."""
        position = self._next_position()
        known, result = await self._arecorded_step(position, step)
        if known:
            return result
        digest = hashlib.sha256(dumps([position, subject])).hexdigest()
        news = self.row.state.get("news") or {}
        if news.get("digest") != digest:
            await self._give_up(NeedsNews(request, digest))
        told = {name: value for name, value in news.items() if name != "digest"}
        return await on_thread(lambda: self._record(position, step, read(told)))

    async def _give_up(self, deferred: Deferred) -> NoReturn:
        """Ends the attempt, when the calls beside this one have ended."""
        self._deferred = deferred
        await self._end_of_calls()
        raise deferred
