"""Sending a claimed task to the endpoint of an instance, signed."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from apps.agents.models import AgentInstance, AgentTask
from apps.agents.services import live, remote_tasks
from apps.agents.signing import signed_headers
from apps.common import json
from apps.common.asyncio_loop import run_coroutine
from apps.common.database import release_connection
from apps.common.errors import Conflict, Fatal, Retryable
from apps.common.json import JSON

if TYPE_CHECKING:
    from apps.integrations.egress import Response

ANSWER_SECONDS = 30.0  # an agent that needs longer answers 202 at once, and brings the result when it has it

_DONE, _ACCEPTED, _SERVER_ERROR = 200, 202, 500
_BUSY = frozenset({408, 409, 425, 429, 503})

log = structlog.get_logger(__name__)


def task_json(task: AgentTask) -> dict[str, JSON]:
    """Give a claimed task as the agent gets it, sent or fetched."""
    return {
        "id": str(task.pk),
        "fence": task.fence,
        "agent": task.agent,
        "capability": task.capability or None,
        "input": task.input,
        "config": task.config,
        "idempotency_key": task.idempotency_key or task.key,
        "attempt": task.tries + task.lost_count,
        "run_id": str(task.run_id) if task.run_id else None,
        "node": task.node or None,
        "lease_until": task.lease_until.isoformat() if task.lease_until else None,
    }


def push(task: AgentTask, instance: AgentInstance, *, cancelled: Callable[[], bool]) -> bool:
    """Send the task; False when it did not get there and goes to another instance.

    When nobody knows whether it got there its lease decides: an agent that has it renews that.
    """
    try:
        answer = _send(task, instance, cancelled)
    except (Retryable, Fatal, Conflict) as failure:
        return _not_sent(task, instance, failure)
    if answer.status == _ACCEPTED:
        return True
    if answer.status == _DONE:
        _take(task, instance, answer)
        return True
    message = f"The agent '{instance.name}' answered {answer.status}."
    log.warning(message, action="agent_push_refused", instance=instance.name, status=answer.status)
    if answer.status in _BUSY or answer.status >= _SERVER_ERROR:
        remote_tasks.refuse(task, instance)
        return False
    _fail(task, instance, "agent_refused", message)
    return True


def _send(task: AgentTask, instance: AgentInstance, cancelled: Callable[[], bool]) -> "Response":
    from apps.integrations.egress import fetch  # noqa: PLC0415 - its client is a tenth of the start of a command

    body = json.dumps(task_json(task))
    signed = signed_headers(
        live.secret_of(instance), message=f"{task.pk}.{task.fence}", timestamp=int(time.time()), body=body
    )
    headers = {"content-type": "application/json", "idempotency-key": task.idempotency_key or task.key, **signed}
    release_connection()
    request = fetch("POST", instance.endpoint, headers=headers, content=body, timeout=ANSWER_SECONDS)
    return run_coroutine(request, cancelled=cancelled)


def _not_sent(task: AgentTask, instance: AgentInstance, failure: Retryable | Fatal | Conflict) -> bool:
    log.warning("An agent was not reached.", action="agent_unreachable", instance=instance.name, error=str(failure))
    if getattr(failure, "in_doubt", False):
        return True
    remote_tasks.refuse(task, instance)
    return False


def _take(task: AgentTask, instance: AgentInstance, answer: "Response") -> None:
    """Take the result that came as the answer: `{"output": ...}` or `{"error": {...}}`."""
    try:
        given: Any = orjson.loads(answer.body)
    except ValueError:
        given = None
    if isinstance(given, dict) and "output" in given:
        cost = given.get("cost_usd")
        usd = max(0.0, float(cost)) if isinstance(cost, int | float) else instance.usd_per_call
        remote_tasks.complete(task, instance, fence=task.fence, output=given["output"], cost_usd=usd)
    elif isinstance(given, dict) and isinstance(given.get("error"), dict):
        told = given["error"]
        code, message = str(told.get("code") or "agent_failed"), str(told.get("message") or "It failed.")
        _fail(task, instance, code, message, retryable=told.get("retryable") is not False)
    else:
        _fail(task, instance, "agent_answer", f"The agent '{instance.name}' answered neither 'output' nor 'error'.")


def _fail(task: AgentTask, instance: AgentInstance, code: str, message: str, *, retryable: bool = True) -> None:
    error = {"code": code[:100], "message": message[:10_000], "retryable": retryable}
    remote_tasks.fail(task, instance, fence=task.fence, error=error)
