"""Agents outside: joining, staying alive, being told to stop, leaving."""

import hmac
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from apps.accounts.models import Organization
from apps.agents.models import AgentInstance, AgentTask
from apps.agents.models.live import SILENT_INTERVALS
from apps.agents.services import news, publishing
from apps.common.errors import Conflict

log = structlog.get_logger(__name__)

State, Mode, TaskState = AgentInstance.State, AgentInstance.Mode, AgentTask.State


@dataclass(frozen=True)
class Joined:
    """An instance that has registered; `secret` is told once, when it is new or was asked for."""

    instance: AgentInstance
    is_new: bool
    secret: str | None

    def __repr__(self) -> str:
        return f"Joined({self.instance.name})"


@transaction.atomic
def register(
    *, organization: Organization, name: str, process: str = "", new_secret: bool = False, **facts: Any
) -> Joined:
    """Take in an instance, or what it now says of itself; the same again changes nothing but its heartbeat.

    Another `process` under the name has replaced the one before: what that one still held is offered to others, and
    its results are refused as soon as somebody has taken them over.
    """
    _, is_new = AgentInstance.objects.get_or_create(organization=organization, name=name)  # two at once make one
    instance = AgentInstance.objects.select_for_update().get(name=name)
    is_other = bool(process) and process != instance.process
    if is_other and not is_new:
        release(AgentTask.objects.filter(instance=instance), lost=True)
    for field, value in (facts | {"process": process or instance.process}).items():
        setattr(instance, field, value)
    instance.capability_names = [one["name"] for one in instance.capabilities]
    instance.load = 0 if is_other else instance.load
    instance.state = State.BUSY if instance.load else State.IDLE
    secret = _new_secret(instance) if is_new or new_secret else None
    instance.heartbeat_at = Now()
    instance.save()
    instance.refresh_from_db()
    log.info("An agent has joined.", action="agent_registered", instance=name, agent=instance.agent)
    publishing.after_commit(instance)
    return Joined(instance, is_new, secret)


def secret_of(instance: AgentInstance) -> str:
    """Give the secret that requests to the instance are signed with; raise Conflict when our own key has changed."""
    secret = _derived(instance)
    if not hmac.compare_digest(_digest(secret), instance.secret_digest):
        message = f"The secret of '{instance.name}' is no longer valid; it has to register again with new_secret."
        raise Conflict(message, code="agent_secret_outdated")
    return secret


@dataclass(frozen=True)
class Pulse:
    """What an instance is told when it has shown that it lives."""

    instance: AgentInstance
    withdrawn: list[UUID]  # tasks that it need not finish


def beat(instance: AgentInstance, *, load: int, status: str, held: list[dict[str, Any]] | None) -> Pulse:
    """Note that the instance lives, and renew the leases of what it holds (None: all that it has claimed)."""
    state = status or (State.BUSY if load else State.IDLE)
    AgentInstance.objects.filter(pk=instance.pk).update(heartbeat_at=Now(), load=load, state=state)
    mine = AgentTask.objects.filter(instance=instance, state=TaskState.CLAIMED)
    fences = None if held is None else {UUID(str(one["id"])): one.get("fence") for one in held}
    renewed = mine if fences is None else mine.filter(pk__in=fences)
    renewed.update(lease_until=Now() + timedelta(seconds=SILENT_INTERVALS * instance.interval))
    still = dict(mine.values_list("pk", "fence"))
    gone = [task for task, fence in (fences or {}).items() if task not in still or fence not in {None, still[task]}]
    instance.refresh_from_db()
    publishing.publish([instance])
    return Pulse(instance, gone)


def drain(instance: AgentInstance, *, by: str) -> AgentInstance:
    """Give the instance nothing new; it finishes what it has."""
    return _set_mode(instance, Mode.DRAINING, by)


def resume(instance: AgentInstance, *, by: str) -> AgentInstance:
    """Give the instance tasks again."""
    return _set_mode(instance, Mode.ACTIVE, by)


@transaction.atomic
def disable(instance: AgentInstance, *, by: str) -> AgentInstance:
    """Give the instance nothing, and what it has to others."""
    release(AgentTask.objects.filter(instance=instance), lost=False)
    return _set_mode(instance, Mode.DISABLED, by)


ACTS = {"drain": drain, "resume": resume, "disable": disable}


@transaction.atomic
def remove(instance: AgentInstance, *, by: str) -> None:
    """Sign an instance off: what it had goes to others. Its agent stays known; twice is the same as once."""
    release(AgentTask.objects.filter(instance=instance), lost=False)
    AgentInstance.objects.filter(pk=instance.pk).update(state=State.OFFLINE, load=0)
    log.info("An agent has left.", action="agent_left", instance=instance.name, by=by)
    publishing.withdraw(instance.organization_id, [instance.name])


@transaction.atomic
def release(tasks: QuerySet[AgentTask], *, lost: bool) -> int:
    """Offer claimed and reserved tasks to everybody who can do them; gives how many there were."""
    claimed = tasks.filter(state=TaskState.CLAIMED)
    if lost:
        _tell_lost(claimed)
    freed = claimed.update(
        state=TaskState.QUEUED,
        lost_count=F("lost_count") + int(lost),
        instance=None,
        lease_until=None,
        offered_until=None,
    )
    return freed + tasks.filter(state=TaskState.QUEUED).update(instance=None, offered_until=None)


def _tell_lost(claimed: QuerySet[AgentTask]) -> None:
    """Tell the nodes, each once: whoever else releases their tasks waits, and finds them released."""
    held = claimed.select_for_update(no_key=True, of=("self",)).exclude(node_run_id=None)
    found = held.values_list("node_run_id", "instance__name").order_by("pk")
    news.tell_lost([(node_run, name or "") for node_run, name in found if node_run])


def _set_mode(instance: AgentInstance, mode: str, by: str) -> AgentInstance:
    AgentInstance.objects.filter(pk=instance.pk).update(mode=mode)
    instance.refresh_from_db()
    log.info("An agent's mode was set.", action="agent_mode", instance=instance.name, mode=mode, by=by)
    publishing.after_commit(instance)
    return instance


def _new_secret(instance: AgentInstance) -> str:
    instance.secret_number += 1
    secret = _derived(instance)
    instance.secret_digest = _digest(secret)
    return secret


def _derived(instance: AgentInstance) -> str:
    """Derive it from our key: nothing in the database lets anybody speak in our name."""
    what = f"{instance.pk}:{instance.secret_number}"
    return f"whsec_{salted_hmac('orchestra.agents', what, algorithm='sha256').hexdigest()}"


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
