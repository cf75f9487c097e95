"""Waiting for an agent outside: the side of the node.

The task is a row. Whoever needs it offers it to the best instance, or sends it there. A node that needs nothing else is
then left: its slot is free, and it comes back when the task has ended, or when nobody is there to fetch it. Whoever has
more to do (an agent that asks an agent, a call over the API) looks again and again, and offers the task to another one
when the first does not answer. When the waiting process dies the task goes on, and the next attempt finds it.
"""

import time
from typing import Any
from uuid import UUID

import structlog
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from apps.agents import selectors
from apps.agents.context import Context
from apps.agents.models import AgentInstance, AgentTask
from apps.agents.services import pushing, remote_tasks
from apps.agents.services.remote_tasks import Wanted
from apps.agents.store import figures
from apps.common.asyncio_loop import Cancelled
from apps.common.database import release_connection
from apps.common.errors import Fatal, NotNow, Retryable
from apps.common.intervals import Interval
from apps.common.json import JSON

OFFER_SECONDS = 2.0  # that a task is kept for the instance that was chosen
NOBODY_SECONDS = 5.0  # that who looks waits for somebody to take the task
SHORTEST_LOOK, LONGEST_LOOK = 0.02, 0.5
WAITED_SECONDS = 30.0
BAD_INPUT = "invalid_input"  # nobody's fault but the caller's

State = AgentTask.State
log = structlog.get_logger(__name__)


def deliver(ctx: Context, wanted: Wanted, preferred: AgentInstance | None) -> JSON:
    """Have the task done and give its output; raises what the agent failed with, Cancelled, or NotNow.

    Where the context can be left it is, as soon as somebody is there for the task.
    """
    wait = _Wait(ctx, wanted, preferred)
    if ctx.may_leave:
        wait.leave()
    return wait.result()


def take_back(task_id: UUID, *, is_overdue: bool) -> None:
    """Withdraw a task that no node waits for; one that has taken too long counts against who worked on it."""
    with scopes_disabled():
        task = AgentTask.objects.select_related("instance").defer("input", "config").filter(pk=task_id).first()
        if task is not None and remote_tasks.withdraw(task) and is_overdue:
            task.refresh_from_db(fields=["finished_at"])
            _measure(task, success=False)


def _measure(task: AgentTask, *, success: bool) -> None:
    ended, began = task.finished_at, task.claimed_at
    ms = (ended - began).total_seconds() * 1000 if ended and began else 0.0
    if task.instance:
        _record(task, task.instance, success=success, ms=ms, usd=task.cost_usd)


def _record(task: AgentTask, instance: AgentInstance, **measured: Any) -> None:
    figures.record(task.organization_id, instance.measured_as, task.capability, **measured)


class _Wait:
    """One attempt's wait for one task."""

    def __init__(self, ctx: Context, wanted: Wanted, preferred: AgentInstance | None) -> None:
        self.ctx, self.wanted, self.preferred = ctx, wanted, preferred
        self.pause = SHORTEST_LOOK
        self.patience = Interval(NOBODY_SECONDS)
        self.noted = Interval(WAITED_SECONDS)

    def leave(self) -> None:
        """See that somebody has the task or will fetch it, and leave it to them."""
        task = self._in_scope(self._open)
        if task.state == State.QUEUED and not self._in_scope(self._is_placed, task):
            raise self._in_scope(self._nobody)
        task = self._in_scope(self._look, task)
        if task.state in remote_tasks.OPEN:
            self._in_scope(remote_tasks.leave, task)
            self.ctx.leave_to_agent(task.pk)

    def result(self) -> JSON:
        task = self._in_scope(self._open)
        while task.state in remote_tasks.OPEN:
            if self.ctx.cancelled:
                self._give_up(task)
            if task.state == State.CLAIMED:
                self.patience.start()
            elif not self._in_scope(self._place, task) and self.patience.is_over:
                raise self._in_scope(self._nobody)
            time.sleep(self.pause)
            self.pause = min(LONGEST_LOOK, self.pause * 1.5)
            task = self._in_scope(self._look, task)
        return self._in_scope(self._outcome, task)

    def _in_scope(self, work: Any, *args: Any, **named: Any) -> Any:
        try:
            with scope(organization=self.ctx.organization_id):
                return work(*args, **named)
        finally:
            release_connection()  # there are more slots than connections, and an agent may take its time

    def _open(self) -> AgentTask:
        return remote_tasks.open_task(self.ctx.organization_id, self.wanted)

    def _look(self, task: AgentTask) -> AgentTask:
        if self.noted.take():
            AgentTask.objects.filter(pk=task.pk).update(waited_at=Now())
        return AgentTask.objects.select_related("instance").defer("input", "config").get(pk=task.pk)

    # ---- to whom ----------------------------------------------------------------------------------

    def _is_placed(self, task: AgentTask) -> bool:
        """Offer or send the task; True also when somebody who has no room yet will fetch it."""
        return self._place(task) or any(not one.endpoint for one in self._able(task))

    def _place(self, task: AgentTask) -> bool:
        """Offer a queued task, or send it; True when somebody may be taking it just now."""
        able = self._able(task)
        kept = AgentTask.objects.filter(pk=task.pk, state=State.QUEUED, offered_until__gt=Now())
        if task.instance_id in {one.pk for one in able} and kept.exists():
            return True
        for instance in filter(selectors.has_room, able):
            if instance.endpoint:
                if self._push(task, instance):
                    return True
            elif task.offered_until is None:  # only once: then it is whoever asks first
                remote_tasks.offer(task, instance, OFFER_SECONDS)
                return True
        return False

    def _able(self, task: AgentTask) -> list[AgentInstance]:
        measured = figures.read(self.ctx.organization_id, task.capability)
        alone = {name for name, known in measured.items() if known.breaker == "open"}
        able = selectors.able(agent=task.agent, capability=task.capability)
        found = [one for one in able if one.measured_as not in alone]
        fresh = [one for one in found if one.pk not in task.refused_by]
        if found and not fresh:
            remote_tasks.forgive(task)
        first = self.preferred.pk if self.preferred else None
        return sorted(fresh or found, key=lambda one: one.pk != first)

    def _push(self, task: AgentTask, instance: AgentInstance) -> bool:
        claimed = remote_tasks.claim(instance, task=task.pk)
        if claimed is None:
            return False
        release_connection()
        if pushing.push(claimed, instance, cancelled=lambda: self.ctx.cancelled):
            return True
        _record(task, instance, success=False, ms=0.0, usd=0.0)
        return False

    def _nobody(self) -> NotNow:
        if selectors.able(agent=self.wanted.agent, capability=self.wanted.capability):
            message = f"Every instance of the agent '{self.wanted.agent}' is busy, or fails and is left alone."
            return NotNow(message, code="agents_busy", retry_after=2)
        message = f"No instance of the agent '{self.wanted.agent}' is there at the moment."
        return NotNow(message, code="no_live_agent", retry_after=2)

    # ---- what came of it --------------------------------------------------------------------------

    def _give_up(self, task: AgentTask) -> None:
        """Take the task back, unless another attempt goes on waiting for it."""
        if self.ctx.is_over:
            self._in_scope(remote_tasks.withdraw, task)
            if self.ctx.overdue and task.instance:
                self._in_scope(_measure, task, success=False)
        raise Cancelled("Nobody waits for the agent any more.")

    def _outcome(self, task: AgentTask) -> JSON:
        if task.state == State.COMPLETED:
            _measure(task, success=True)
            return task.output
        if task.state == State.WITHDRAWN:
            raise Retryable("The task was withdrawn.", code="agent_task_withdrawn")
        error = task.error if isinstance(task.error, dict) else {}
        code, message = str(error.get("code") or "agent_failed"), str(error.get("message") or "The agent failed.")
        if code != BAD_INPUT:
            _measure(task, success=False)
        if error.get("retryable", True):
            raise Retryable(message, code=code, retry_after=error.get("retry_after"))
        raise Fatal(message, code=code)
