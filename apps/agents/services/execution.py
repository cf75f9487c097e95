"""Running one agent once, for a person or a program that waits for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import structlog

from apps.agents.context import LocalContext
from apps.agents.registry import AgentType
from apps.agents.runtime import check_config, run_agent
from apps.agents.services import selection
from apps.common.json import JSON
from apps.common.outcomes import Outcome, invalid_request, outcome_of
from apps.common.validation import InvalidInput


@dataclass
class Spending:
    """What an execution has spent on language models, in millionths of a dollar, when it is over."""

    micro_usd: int = 0


DEFAULT_SECONDS = 30.0
MOST_SECONDS = 60.0


def choose_agent(capability: str, task: JSON, *, organization_id: UUID, key: str | None = None) -> AgentType:
    """Give the best agent for a capability; raises NotFound, and NotNow when nobody may be asked now."""
    ctx = LocalContext(organization_id, key=f"execute:{key or uuid4()}")
    return selection.choose(
        capability, task, ctx, probe=False
    )  # the request may hold its transaction open until it is answered


def execute(
    agent_type: AgentType,
    task: JSON,
    *,
    organization_id: UUID,
    config: dict[str, Any] | None = None,
    timeout: float = DEFAULT_SECONDS,
    key: str | None = None,
    session: str | None = None,
    input_at: str = "",
    caller: str = "",
    spending: Spending | None = None,
    capability: str = "",
) -> Outcome:
    """Run the agent and give its Outcome; raise Invalid (places under `input_at`) when the task does not fit it.

    Calls with the same `key` give tools the same idempotency keys, so that what they send is sent once. `session` names
    the conversation that the agent goes on with, `capability` is what the agent was chosen for. What models cost counts
    as that of the `caller`, and is noted in `spending`.
    """
    try:
        check_config(agent_type, config)
    except InvalidInput as wrong:
        raise invalid_request(wrong, "/config") from None
    log = structlog.get_logger("orchestra.agents").bind(agent=agent_type.name, organization_id=str(organization_id))

    def work(cancelled: Callable[[], bool]) -> JSON:
        name = f"execute:{key or uuid4()}"
        ctx = LocalContext(organization_id, key=name, log=log, cancelled=cancelled, session=session, caller=caller)
        given = agent_type.addressed(task, capability) if capability else task
        try:
            return run_agent(agent_type, given, ctx, config=config).output
        finally:
            if spending is not None:
                spending.micro_usd = ctx.cost_micro_usd

    outcome = outcome_of(work, timeout=timeout, input_at=input_at)
    if capability and (outcome.error or {}).get("code") not in selection.NOBODYS_FAULT:
        selection.measure(
            agent_type, capability, organization_id, success=outcome.error is None, ms=outcome.duration_ms
        )
    return outcome
