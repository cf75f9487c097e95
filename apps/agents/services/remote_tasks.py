"""Tasks for agents outside, from being asked for to the result: each change is one conditional statement.

1. The node that needs it opens the row, and offers it to the instance that was chosen, for a while. Each try of the
   node has a row of its own.
2. An instance claims it: the lease begins, the fence moves.
3. Heartbeats renew the lease. When it runs out, whoever can do it may claim it, and the fence moves again.
4. A result counts when it carries the latest fence; a late one of who was replaced is refused. Whoever waits for it
   is told after the commit.
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
from apps.agents.services import news
from apps.common.errors import Conflict, NotFound
from apps.common.json import JSON

State = AgentTask.State
OPEN = (State.QUEUED, State.CLAIMED)
MOST_LOSSES = 5
FOR_LONG = timedelta(days=36_500)  # that a node waits without looking: until its run is over

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What a node asks of an agent outside."""

    key: str  # the same in every try
    agent: str
    capability: str
    input: JSON
    config: JSON
    run_id: UUID | None = None
    node_run_id: UUID | None = None
    node: str | None = None
    number: int = 1  # of the try

    @property
    def task_key(self) -> str:
        """Give the key of this try's task."""
        return self.key if self.number == 1 else f"{self.key}:try{self.number}"

    @property
    def values(self) -> dict[str, Any]:
        """Give the columns."""
        values = {"agent": self.agent, "capability": self.capability, "input": self.input, "config": self.config}
        place = {"run_id": self.run_id, "node_run_id": self.node_run_id, "node": (self.node or "")[:200]}
        return values | place | {"idempotency_key": self.key}


def open_task(organization_id: UUID, wanted: Wanted) -> AgentTask:
    """Give the task of this try: a new one, the one under way, or the one that has ended.

    What was withdrawn is asked for again, and so is what failed outside of a run, where nothing else counts the tries.
    """
    first = {"tries": wanted.number, "refused_by": _failed_by(wanted)}
    task, is_new = AgentTask.objects.get_or_create(
        organization_id=organization_id, key=wanted.task_key, defaults={**wanted.values, **first}
    )
    if not is_new:
        _ask_again(task, wanted)
    place = {"run_id": wanted.run_id, "node_run_id": wanted.node_run_id}
    AgentTask.objects.filter(pk=task.pk).update(waited_at=Now(), **place)
    task.refresh_from_db()
    return task


def _failed_by(wanted: Wanted) -> list[UUID]:
    """Give the instances that earlier tries failed with: it is another one's turn."""
    if wanted.number == 1 or wanted.run_id is None:
        return []
    earlier = AgentTask.objects.filter(run_id=wanted.run_id, idempotency_key=wanted.key, state=State.FAILED)
    return list(earlier.exclude(instance=None).values_list("instance", flat=True))


def _ask_again(task: AgentTask, wanted: Wanted) -> None:
    again: dict[str, Any] = {
        "state": State.QUEUED,
        "error": None,
        "finished_at": None,
        "instance": None,
        "lost_count": 0,
    }
    again |= {"offered_until": None, **wanted.values}
    ended = AgentTask.objects.filter(pk=task.pk)
    ended.filter(state=State.WITHDRAWN).update(**again)
    if wanted.run_id is None:
        failed_by = [task.instance_id] if task.instance_id else []  # another one's turn
        ended.filter(state=State.FAILED).update(**again, tries=F("tries") + 1, refused_by=failed_by)


def leave(task: AgentTask) -> None:
    """Note that the node waits for the task without looking."""
    AgentTask.objects.filter(pk=task.pk, state__in=OPEN).update(waited_at=Now() + FOR_LONG)


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
    if lost and taken.node_run_id:
        news.tell_lost([(taken.node_run_id, taken.instance.name if taken.instance else "")])
    lease = Now() + timedelta(seconds=SILENT_INTERVALS * current.interval)
    taken_by = {"state": State.CLAIMED, "instance": current, "lease_until": lease, "claimed_at": Now()}
    AgentTask.objects.filter(pk=taken.pk).update(
        **taken_by, fence=F("fence") + 1, lost_count=F("lost_count") + lost, offered_until=None, lines=0
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


def withdraw(task: AgentTask) -> bool:
    """Take back a task that nobody waits for any more; who works on it hears of it with the next heartbeat."""
    still_open = AgentTask.objects.filter(pk=task.pk, state__in=OPEN)
    return bool(still_open.update(state=State.WITHDRAWN, finished_at=Now(), waited_at=Now(), lease_until=None))


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
        raise refused(task, fence)
    AgentInstance.objects.filter(pk=instance.pk).update(load=Greatest(F("load") - 1, 0))  # until it says so itself
    task.refresh_from_db()
    news.tell(task)
    return task


def refused(task: AgentTask, fence: int) -> Conflict:
    """Say why what comes with this claim is not taken."""
    if task.fence != fence:
        message = f"The claim {fence} of this task was replaced by claim {task.fence}; its result is not taken."
        return Conflict(message, code="stale_fence")
    message = f"The task has ended ({task.state}); drop it and claim another."
    return Conflict(message, code="task_ended")
