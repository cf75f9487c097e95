"""Questions of nodes to language models: on whose behalf, through which circuit, and what the run tells of them."""

from uuid import UUID

from apps.common.database import on_thread
from apps.common.errors import Fatal
from apps.common.json import JSON, dumps
from apps.integrations.language_models.asking import Asker, ask
from apps.integrations.language_models.shapes import Request
from apps.observability.models import Budget
from apps.observability.services.accounting import BudgetReached, Origin, Shortage
from apps.workflows import dispatch
from apps.workflows.nodes.base import Deferred, NodeError
from apps.workflows.services import circuits
from apps.workflows.services.runs import pause_run
from apps.workflows.store import progress
from apps.workflows.store.database import look
from apps.workflows.store.rows import NodeRow

REST_SECONDS = 1.0  # of a node whose run is paused for want of money, once somebody has resumed it


class Circuit:
    """The circuit breaker of an organization's models, which all workers share."""

    def __init__(self, organization_id: UUID) -> None:
        self._organization_id = organization_id

    async def enter(self, model: str) -> None:
        """Let the call out, or raise Retryable `circuit_open`."""
        await on_thread(circuits.shared.enter, self._named(model))

    async def left(self, model: str, error: Exception | None) -> None:
        """Note how the call ended."""
        if error is not None or circuits.shared.is_troubled(self._named(model)):
            await on_thread(circuits.note, circuits.shared, self._named(model), error)

    def _named(self, model: str) -> tuple[UUID, str]:
        return self._organization_id, f"model {model}"[:400]


class LiveText:
    """An answer as far as it has come, for those who watch the run."""

    def __init__(self, row: NodeRow) -> None:
        self._row = row
        self._text = ""

    def __call__(self, piece: str) -> None:
        """Hear a piece of it."""
        self._text += piece
        place = {"node": self._row.node, "visit": self._row.visit, "index": self._row.index}
        dispatch.show_text(self._row.run_id, self._row.id, dumps({**place, "text": self._text}).decode())

    def end(self) -> None:
        """Take it away: what was said stands in the journal now."""
        dispatch.show_text(self._row.run_id, self._row.id, "")


async def ask_for(row: NodeRow, agent: str, request: Request, known: int) -> JSON:
    """The record of the answer to a question of a node run.

    Raises what `ask` raises. Where a budget is used up that is Fatal, or, where the budget is to ask, Deferred: the
    run is paused then, and goes on with this question when somebody has resumed it.
    """
    text = LiveText(row)
    try:
        origin = await on_thread(_origin, row, agent)
        return await ask(request, known, Asker(origin, text, Circuit(row.organization_id)))
    except BudgetReached as reached:
        raise await on_thread(_at_cap, row, reached.shortage, str(reached)) from None
    finally:
        text.end()


def _origin(row: NodeRow, agent: str) -> Origin:
    with look() as tx:
        workflow, caller = progress.name_and_caller(tx, row.run_id)
    return Origin(
        organization_id=row.organization_id,
        run_id=row.run_id,
        node_run_id=row.id,
        node=row.node,
        attempt=row.attempt,
        workflow=workflow,
        agent=agent,
        caller=caller,
    )


def _at_cap(row: NodeRow, shortage: Shortage, message: str) -> BaseException:
    """What follows when there is not enough money: the run fails, or pauses and asks."""
    if shortage.budget.at_cap == Budget.AtCap.FAIL:
        return Fatal(message, code="budget_reached")
    pause_run(row.run_id, by="budget", reason=message, account=shortage.account)
    error = NodeError("budget_reached", message, retryable=True, retry_after=REST_SECONDS, deferred=True)
    return Deferred(error)
