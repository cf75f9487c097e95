"""What keeps agents outside honest when they fall silent: part of the recovery, in every organization."""

from datetime import timedelta

import structlog
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from apps.agents.models import AgentDecision, AgentInstance, AgentTask
from apps.agents.models.live import PATIENCE
from apps.agents.services import publishing
from apps.agents.services.live import release
from apps.agents.services.remote_tasks import MOST_LOSSES, OPEN
from apps.common.intervals import Interval

State = AgentTask.State
UNWAITED = timedelta(minutes=10)  # a node that waits looks every second; one that is deferred, every minute
FORGOTTEN = timedelta(days=1)  # silent instances, unless nobody else stands for their agent
KEPT = timedelta(days=7)  # ended tasks, and choices for single calls
BATCH = 1000
MOST_BATCHES = 20
TIDY_SECONDS = 600.0
PUBLISH_SECONDS = 5.0

log = structlog.get_logger(__name__)

_publishing = Interval(PUBLISH_SECONDS, is_over=True)
_tidying = Interval(TIDY_SECONDS, is_over=True)


def sweep() -> int:
    """Note who is silent and offer what they held to others; gives how many tasks that were."""
    with scopes_disabled():
        _note_silent()
        freed = release(_lost(), lost=True)
        _end_poison()
        _withdraw_unwaited()
        if _publishing.take():
            publishing.publish(AgentInstance.objects.exclude(state=AgentInstance.State.OFFLINE))
        if _tidying.take():
            tidy()
    return freed


def tidy() -> None:
    """Delete instances that have been gone for a day, and what ended a week ago; what a run has leaves with it.

    An answer that its node has not looked at yet is kept: the run may have been paused for as long.
    """
    with scopes_disabled():
        newest = AgentInstance.objects.values("organization", "agent").annotate(last=Max("heartbeat_at")).values("last")
        gone = AgentInstance.objects.filter(state=AgentInstance.State.OFFLINE, heartbeat_at__lt=Now() - FORGOTTEN)
        gone.exclude(heartbeat_at__in=newest).delete()
        _delete(AgentTask.objects.filter(finished_at__lt=Now() - KEPT, waited_at__lt=Now()))
        _delete(AgentDecision.objects.filter(run_id=None, created_at__lt=Now() - KEPT))


def _note_silent() -> None:
    silent = AgentInstance.objects.exclude(state=AgentInstance.State.OFFLINE).filter(heartbeat_at__lt=Now() - PATIENCE)
    for one in silent[:BATCH]:
        AgentInstance.objects.filter(pk=one.pk, heartbeat_at=one.heartbeat_at).update(
            state=AgentInstance.State.OFFLINE, load=0
        )
        log.warning("An agent is silent.", action="agent_silent", instance=one.name, agent=one.agent)
        publishing.withdraw(one.organization_id, [one.name])


def _lost() -> QuerySet[AgentTask]:
    """Claims whose lease is over or whose instance is gone, and offers to an instance that is."""
    is_gone = Q(instance=None) | Q(instance__state=AgentInstance.State.OFFLINE)
    claims = Q(state=State.CLAIMED) & (is_gone | Q(lease_until__lt=Now()))
    offers = Q(state=State.QUEUED, instance__state=AgentInstance.State.OFFLINE)
    found = AgentTask.objects.filter(claims | offers).values_list("pk", flat=True)
    return AgentTask.objects.filter(pk__in=list(found[:BATCH]))


def _end_poison() -> None:
    message = f"The task was lost {MOST_LOSSES} times with the agent that worked on it; it is not offered again."
    error = {"code": "agent_lost", "message": message, "retryable": False}
    poison = AgentTask.objects.filter(state=State.QUEUED, lost_count__gte=MOST_LOSSES)
    poison.update(state=State.FAILED, error=error, finished_at=Now(), instance=None)


def _withdraw_unwaited() -> None:
    unwaited = AgentTask.objects.filter(waited_at__lt=Now() - UNWAITED, state__in=OPEN)
    unwaited.update(state=State.WITHDRAWN, finished_at=Now(), lease_until=None)


def _delete(found: QuerySet[AgentTask] | QuerySet[AgentDecision]) -> None:
    """Delete them in short transactions, and no more than a round has time for."""
    for _ in range(MOST_BATCHES):
        batch = list(found.values_list("pk", flat=True)[:BATCH])
        found.model._default_manager.filter(pk__in=batch).delete()
        if len(batch) < BATCH:
            return
