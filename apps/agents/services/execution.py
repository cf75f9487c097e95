"""Running one agent once, for a person or a program that waits for it."""

from collections.abc import Callable
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
    input_at: str = "",
    capability: str = "",
) -> Outcome:
    """Run the agent and give its Outcome; raise Invalid (places under `input_at`) when the task does not fit it.

    Calls with the same `key` give tools the same idempotency keys, so that what they send is sent once. `capability`
    is what the agent was chosen for.
    """
    try:
        check_config(agent_type, config)
    except InvalidInput as wrong:
        raise invalid_request(wrong, "/config") from None
    log = structlog.get_logger("orchestra.agents").bind(agent=agent_type.name, organization_id=str(organization_id))

    def work(cancelled: Callable[[], bool]) -> JSON:
        ctx = LocalContext(organization_id, key=f"execute:{key or uuid4()}", log=log, cancelled=cancelled)
        given = agent_type.addressed(task, capability) if capability else task
        return run_agent(agent_type, given, ctx, config=config).output

    outcome = outcome_of(work, timeout=timeout, input_at=input_at)
    if capability and (outcome.error or {}).get("code") not in selection.NOBODYS_FAULT:
        selection.measure(
            agent_type, capability, organization_id, success=outcome.error is None, ms=outcome.duration_ms
        )
    return outcome
