"""Choosing an agent for a capability and running it: what was decided stands, and how it went is measured."""

import time
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import structlog

from apps.agents.context import Context
from apps.agents.registry import AgentType
from apps.agents.runtime import Result, run_agent
from apps.agents.services.merit import Candidate, Choice, route
from apps.agents.store import decisions, figures
from apps.common.asyncio_loop import Cancelled
from apps.common.database import release_connection
from apps.common.errors import NotNow
from apps.common.json import JSON

NOBODYS_FAULT = frozenset({"invalid_input", "no_live_agent", "agents_busy"})

log = structlog.get_logger(__name__)


def run_best(capability: str, task: JSON, ctx: Context, *, config: dict[str, Any] | None = None) -> Result:
    """Run the best agent for a capability; each attempt that failed is another one's turn.

    The choice stands beside the run: a new attempt after a crash goes on with the same agent, and people see why.
    Raises NotFound, NotNow when nobody may be asked now, and whatever the agent raises.
    """
    return run_measured(choose(capability, task, ctx), capability, task, ctx, config=config)


def run_measured(
    agent_type: AgentType, capability: str, task: JSON, ctx: Context, *, config: dict[str, Any] | None = None
) -> Result:
    """Run an agent that was chosen for a capability, and note how it went."""
    began = time.perf_counter()

    def noted(*, success: bool) -> None:
        ms = (time.perf_counter() - began) * 1000
        measure(agent_type, capability, ctx.organization_id, success=success, ms=ms)

    try:
        result = run_agent(agent_type, agent_type.addressed(task, capability), ctx, config=config)
    except (Exception, Cancelled) as failure:
        if _is_to_blame(failure, ctx):
            noted(success=False)
        raise
    noted(success=True)
    return result


def choose(capability: str, task: JSON, ctx: Context, *, probe: bool = True) -> AgentType:
    """Give who works on this attempt: as it was decided before a crash, or decided now.

    Without `probe` an agent whose breaker is half open is chosen without asking whether somebody else tries it.
    """
    try:
        organization, key = ctx.organization_id, ctx.idempotency_key()
        before = decisions.before(organization, key)
        failed = [name for attempt, name in before if attempt < ctx.attempt]
        kept = next((name for attempt, name in reversed(before) if attempt == ctx.attempt), None)
        choice = route(organization, capability, task, failed=failed)
        chosen = _kept(choice, kept, ctx) or _probed(choice, ctx, probe)
        if kept != chosen.name:
            remember(choice, chosen, ctx)
        names = list(dict.fromkeys([name for _, name in before] + [chosen.name]))
        if number := names.index(chosen.name):
            ctx.hand_over(number)
        return chosen.agent_type
    finally:
        release_connection()


def _kept(choice: Choice, name: str | None, ctx: Context) -> Candidate | None:
    """Give who was chosen before, as long as its breaker is closed.

    Where the node has left a task to it, the answer is that task's, whatever has become of the instance meanwhile.
    """
    is_left = ctx.left_task is not None
    same = (one for one in choice.table if one.name == name and (is_left or one.figures.breaker == "closed"))
    agent = (name or "").partition("/")[0]
    others = (one for one in choice.table if one.agent_type.kind == "remote" and one.agent_type.name == agent)
    return next(same, None) or (next(others, None) if is_left else None)


def _probed(choice: Choice, ctx: Context, probe: bool) -> Candidate:
    """Give the chosen one; one whose breaker is half open is tried by one caller at a time."""
    for candidate in choice.table:
        if may_be_asked(candidate, choice.capability, ctx, probe=probe):
            return candidate
    rest = min(one.figures.rest for one in choice.table)
    raise NotNow(choice.reason, code="circuit_open", retry_after=max(1.0, rest))


def may_be_asked(candidate: Candidate, capability: str, ctx: Context, *, probe: bool = True) -> bool:
    """Tell whether the breaker lets somebody work; one caller at a time tries who was left alone."""
    state = candidate.figures.breaker
    if state == "half_open" and probe:
        return figures.probe(ctx.organization_id, candidate.name, capability)
    return state != "open"


def remember(choice: Choice, chosen: Candidate, ctx: Context) -> None:
    """Write down who works on this attempt, and why."""
    told = replace(choice, chosen=chosen)
    decisions.write(
        ctx.organization_id,
        ctx.idempotency_key(),
        ctx.attempt,
        capability=choice.capability,
        chosen=chosen.name,
        reason=told.reason,
        run=ctx.run_id,
        candidates=[one.as_json() for one in choice.table],
    )


def measure(agent_type: AgentType, capability: str, organization_id: UUID, *, success: bool, ms: float) -> None:
    """Note how a call went; an agent outside is measured where its result comes in, as another may have done it."""
    if agent_type.kind == "remote":
        return
    try:
        figures.record(organization_id, agent_type.measured_as, capability, success=success, ms=ms)
    except psycopg.Error as error:  # what was done stands, whatever becomes of the figures
        log.warning("A call was not measured.", action="agent_not_measured", error=str(error))
    finally:
        release_connection()


def _is_to_blame(failure: BaseException, ctx: Context) -> bool:
    """Tell whether a failure says something about the agent; wrong input and a cancelled run do not."""
    if isinstance(failure, Cancelled):
        return ctx.overdue
    return not isinstance(failure, NotNow) and getattr(failure, "code", "") not in NOBODYS_FAULT
