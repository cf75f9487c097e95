"""Forgetting on purpose: sessions with all that belongs to them, and memories; in PostgreSQL, and then in Redis."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from apps.agents.memory import short_term
from apps.agents.models import AgentSession, Memory, SessionTurn

BATCH = 50  # sessions in one transaction


def erase_sessions(sessions: QuerySet[AgentSession], *, go_on: Callable[[], bool] = lambda: True) -> int:
    """Delete these sessions with their turns and memories; gives how many there were."""
    erased = 0
    while go_on() and (batch := list(sessions.order_by("pk").values_list("pk", flat=True)[:BATCH])):
        erased += _erase(sessions.filter(pk__in=batch))
    return erased


@transaction.atomic
def _erase(sessions: QuerySet[AgentSession]) -> int:
    # Locked first, and asked again whether they are meant: who adds a turn meanwhile waits and begins a new session,
    # and one that was used since it was found is not unused.
    found = list(sessions.select_for_update().order_by("pk").values_list("pk", flat=True))
    Memory.objects.filter(session__in=found).delete()
    SessionTurn.objects.filter(session__in=found).delete()
    AgentSession.objects.filter(pk__in=found).delete()
    transaction.on_commit(partial(short_term.forget, found), robust=True)
    return len(found)


def erase_memories(memories: QuerySet[Memory]) -> int:
    """Delete these memories; gives how many there were."""
    erased, _ = memories.delete()
    return erased


def forget_unused_sessions(age: timedelta, *, go_on: Callable[[], bool] = lambda: True, dry_run: bool = False) -> int:
    """Delete the sessions of all organizations that nobody has used for longer than this; gives how many there were."""
    with scopes_disabled():
        unused = AgentSession.objects.filter(last_used_at__lt=Now() - age)
        return unused.count() if dry_run else erase_sessions(unused, go_on=go_on)
