"""Reading agents outside: who is there, who can do what, what they hold."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.db.models import BooleanField, Case, Count, ExpressionWrapper, F, FloatField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Extract, Now

from apps.agents.models import AgentDecision, AgentInstance, AgentTask
from apps.agents.models.live import PATIENCE
from apps.common.errors import NotFound
from apps.common.registry import nearest
from apps.common.selectors import find_by_id

LONGEST_POLL = timedelta(seconds=30)

State, Mode = AgentInstance.State, AgentInstance.Mode

_HELD = Q(tasks__state=AgentTask.State.CLAIMED) | Q(tasks__state=AgentTask.State.QUEUED, tasks__offered_until__gt=Now())
_LIVE = ~Q(state=State.OFFLINE) & Q(heartbeat_at__gt=Now() - PATIENCE)
# It takes tasks: people let it, it wants some, and there is a way to it.
_TAKES = _LIVE & Q(mode=Mode.ACTIVE) & ~Q(state=State.DRAINING)
_REACHED = ~Q(endpoint="") | Q(polled_at__gt=Now() - PATIENCE - LONGEST_POLL)


def instances() -> QuerySet[AgentInstance]:
    """Give the instances of the organization, each with `held`, `is_alive`, `is_ready` and `silence` in seconds."""
    return AgentInstance.objects.annotate(
        held=Count("tasks", filter=_HELD),
        is_alive=_truth(_LIVE),
        is_ready=_truth(_TAKES & _REACHED),
        silence=ExpressionWrapper(Extract(Now() - F("heartbeat_at"), "epoch"), output_field=FloatField()),
    ).order_by("agent", "name")


def able(*, agent: str, capability: str) -> list[AgentInstance]:
    """Give the instances that are ready for a task, those with most room first."""
    wanted = Q(capability_names__contains=[capability]) if capability else Q(agent=agent) | Q(name=agent)
    found = [one for one in instances().filter(wanted) if one.is_ready]  # type: ignore[attr-defined]
    return sorted(found, key=lambda one: (load_of(one), one.name))


def load_of(instance: AgentInstance) -> float:
    """Give how full an instance is, from 0 to 1 and over."""
    held = int(getattr(instance, "held", 0))
    return max(held, instance.load) / instance.max_concurrency


def has_room(instance: AgentInstance) -> bool:
    """Tell whether an instance may be given another task."""
    return int(getattr(instance, "held", 0)) < instance.max_concurrency


def state_of(instance: AgentInstance) -> str:
    """Give the state that people see: silence first, then what they want of it, then what it says."""
    if not getattr(instance, "is_alive", True):
        return State.OFFLINE
    return instance.state if instance.mode == Mode.ACTIVE else instance.mode


def find_instance(ref: str) -> AgentInstance:
    """Give the instance of this name or id; raises NotFound."""
    found = instances().filter(name=ref).first()
    if found is not None:
        return found
    try:
        return find_by_id(instances(), ref)
    except NotFound:
        known = AgentInstance.objects.values_list("name", flat=True)[:1000]
        message = f"There is no agent instance '{ref[:100]}'.{nearest(ref[:100], known)}"
        raise NotFound(message, code="agent_instance_not_found") from None


def find_task(ref: str | UUID) -> AgentTask:
    """Give a task for an agent outside; raises NotFound."""
    return find_by_id(AgentTask.objects.all(), ref)


def held_tasks(instance: AgentInstance) -> QuerySet[AgentTask]:
    """Give what an instance works on, or is kept for it."""
    open_states = [AgentTask.State.CLAIMED, AgentTask.State.QUEUED]
    return AgentTask.objects.filter(instance=instance, state__in=open_states).defer("input", "output", "config")


def spent_today(names: Iterable[UUID]) -> dict[UUID, float]:
    """Give what each instance has cost in the last 24 hours."""
    today = AgentTask.objects.filter(instance__in=list(names), finished_at__gt=Now() - timedelta(days=1))
    rows = today.values("instance").annotate(usd=Sum("cost_usd"))
    return {row["instance"]: row["usd"] for row in rows}


def open_tasks(run: UUID) -> dict[UUID, AgentTask]:
    """Give the tasks of a run that agents outside have or may fetch, by node run, each with its process."""
    is_open = Q(state=AgentTask.State.QUEUED) | Q(state=AgentTask.State.CLAIMED)
    found = AgentTask.objects.filter(is_open, run_id=run).select_related("instance")
    return {task.node_run_id: task for task in found.defer("input", "config", "output") if task.node_run_id}


def decisions(key: str) -> list[AgentDecision]:
    """Give how an agent was chosen for each attempt of a visit, the latest first."""
    return list(AgentDecision.objects.filter(key=key).order_by("-pk"))


def _truth(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())
