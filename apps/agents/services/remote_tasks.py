"""Tasks for agents outside, from being asked for to the result: each change is one conditional statement.

1. The node that needs it opens the row, and offers it to the instance that was chosen, for a while.
2. An instance claims it: the lease begins, the fence moves.
3. Heartbeats renew the lease. When it runs out, whoever can do it may claim it, and the fence moves again.
4. A result counts when it carries the latest fence; a late one of who was replaced is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from apps.agents.models import AgentFigures, AgentInstance, AgentTask
from apps.agents.models.live import SILENT_INTERVALS
from apps.common.errors import Conflict, NotFound
from apps.common.json import JSON

State = AgentTask.State
OPEN = (State.QUEUED, State.CLAIMED)
MOST_LOSSES = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What a node asks of an agent outside."""

    key: str
    agent: str
    capability: str
    input: JSON
    config: JSON
    run_id: UUID | None = None
    node: str | None = None

    @property
    def values(self) -> dict[str, Any]:
        """Give the columns."""
        values = {"agent": self.agent, "capability": self.capability, "input": self.input, "config": self.config}
        return values | {"run_id": self.run_id, "node": (self.node or "")[:200]}


def open_task(organization_id: UUID, wanted: Wanted) -> AgentTask:
    """Give the task of this key: the one under way or ended well, or a new try of what failed or was withdrawn."""
    task, is_new = AgentTask.objects.get_or_create(
        organization_id=organization_id, key=wanted.key, defaults={**wanted.values}
    )
    if not is_new:
        again = {"state": State.QUEUED, "error": None, "finished_at": None, "instance": None, "lost_count": 0}
        failed_by = [task.instance_id] if task.instance_id else []  # another one's turn
        ended = AgentTask.objects.filter(pk=task.pk, state__in=[State.FAILED, State.WITHDRAWN])
        ended.update(**again, **wanted.values, tries=F("tries") + 1, refused_by=failed_by, offered_until=None)
    AgentTask.objects.filter(pk=task.pk, state__in=OPEN).update(waited_at=Now())
    task.refresh_from_db()
    return task


def offer(task: AgentTask, instance: AgentInstance, seconds: float) -> bool:
    """Keep a queued task for one instance for so long; False when somebody has it already."""
    free = AgentTask.objects.filter(pk=task.pk, state=State.QUEUED)
    return bool(free.update(instance=instance, offered_until=Now() + timedelta(seconds=seconds)))


def claimable(instance: AgentInstance) -> QuerySet[AgentTask]:
    """Give the tasks that the instance may claim now."""
    able = Q(capability="", agent=instance.agent) | Q(capability="", agent=instance.name)
    able |= Q(capability__in=instance.capability_names)
    free = Q(offered_until=None) | Q(offered_until__lte=Now()) | Q(instance=instance)
    open_now = (Q(state=State.QUEUED) & free) | Q(state=State.CLAIMED, lease_until__lte=Now())
    alone = AgentFigures.objects.filter(agent=instance.measured_as, open_until__gt=Now()).values("capability")
    found = AgentTask.objects.filter(able & open_now).exclude(refused_by__contains=[instance.pk])
    return found.exclude(capability__in=alone)  # its breaker is open


@transaction.atomic
def claim(instance: AgentInstance, *, task: UUID | None = None) -> AgentTask | None:
    """Give the instance the oldest task it may have, or the one that is meant; None when there is none, or no room."""
    current = AgentInstance.objects.select_for_update(no_key=True).filter(pk=instance.pk).first()
    if current is None:
        raise NotFound("This agent has said goodbye meanwhile; register it again.", code="agent_instance_not_found")
    if current.mode != AgentInstance.Mode.ACTIVE or current.state == AgentInstance.State.DRAINING:
        return None
    if AgentTask.objects.filter(instance=current, state=State.CLAIMED).count() >= current.max_concurrency:
        return None
    found = claimable(current) if task is None else claimable(current).filter(pk=task)
    taken = found.select_for_update(skip_locked=True, of=("self",)).order_by("created_at", "id").first()
    if taken is None:
        return None
    lost = int(taken.state == State.CLAIMED)
    lease = Now() + timedelta(seconds=SILENT_INTERVALS * current.interval)
    taken_by = {"state": State.CLAIMED, "instance": current, "lease_until": lease, "claimed_at": Now()}
    AgentTask.objects.filter(pk=taken.pk).update(
        **taken_by, fence=F("fence") + 1, lost_count=F("lost_count") + lost, offered_until=None
    )
    taken.refresh_from_db()
    return taken


def complete(task: AgentTask, instance: AgentInstance, *, fence: int, output: JSON, cost_usd: float) -> AgentTask:
    """Take a result; the same one again changes nothing. Raises Conflict when the claim is not the latest."""
    return _end(task, instance, fence, state=State.COMPLETED, output=output, cost_usd=cost_usd)


def fail(
    task: AgentTask, instance: AgentInstance, *, fence: int, error: Mapping[str, Any], cost_usd: float = 0
) -> AgentTask:
    """Take a failure; the node that waits decides whether it is tried again. Raises Conflict as `complete` does."""
    return _end(task, instance, fence, state=State.FAILED, error=dict(error), cost_usd=cost_usd)


def forgive(task: AgentTask) -> None:
    """Let everybody have the task again: nobody else is there."""
    AgentTask.objects.filter(pk=task.pk, state=State.QUEUED).update(refused_by=[])


def refuse(task: AgentTask, instance: AgentInstance) -> None:
    """Note that the instance was not reached: the task goes to another one."""
    held = AgentTask.objects.filter(pk=task.pk, state__in=OPEN, instance=instance)
    held.update(
        state=State.QUEUED,
        instance=None,
        offered_until=None,
        lease_until=None,
        refused_by=[*task.refused_by, instance.pk],
    )


def withdraw(task: AgentTask) -> None:
    """Take back a task that nobody waits for any more; who works on it hears of it with the next heartbeat."""
    AgentTask.objects.filter(pk=task.pk, state__in=OPEN).update(
        state=State.WITHDRAWN, finished_at=Now(), lease_until=None
    )


def _end(task: AgentTask, instance: AgentInstance, fence: int, *, state: str, **result: Any) -> AgentTask:
    """Write the end of a claim. One that was taken back and that nobody else has claimed since is still good."""
    latest = AgentTask.objects.filter(pk=task.pk, fence=fence, state__in=OPEN)
    if not latest.update(
        state=state, instance=instance, finished_at=Now(), lease_until=None, offered_until=None, **result
    ):
        task.refresh_from_db()
        if task.fence == fence and task.state == state:
            return task  # a second answer after a lost reply
        log.info("A late result was refused.", action="agent_task_fenced", task=str(task.pk), fence=fence)
        raise _refused(task, fence)
    AgentInstance.objects.filter(pk=instance.pk).update(load=Greatest(F("load") - 1, 0))  # until it says so itself
    task.refresh_from_db()
    return task


def _refused(task: AgentTask, fence: int) -> Conflict:
    if task.fence != fence:
        message = f"The claim {fence} of this task was replaced by claim {task.fence}; its result is not taken."
        return Conflict(message, code="stale_fence")
    message = f"The task has ended ({task.state}); drop it and claim another."
    return Conflict(message, code="task_ended")
