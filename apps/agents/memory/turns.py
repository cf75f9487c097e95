"""The turns of sessions in PostgreSQL: added once each, in one order for all who write at the same time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django_scopes import scope

from apps.agents.memory import short_term
from apps.agents.memory.short_term import Turn
from apps.agents.memory.writing import cut, storable
from apps.agents.models import AgentSession, SessionTurn
from apps.common.ids import uuid7
from apps.common.json import JSON
from apps.integrations.language_models import Message

LONGEST_CONTENT = 50_000  # characters of one turn that are kept
MOST_READ = 1_000  # turns that are looked at together

# Makes the session or touches it, and locks its row either way: whoever else adds turns waits for the end of this.
_OPEN = """
insert into agents_agentsession
    (id, organization_id, key, agent, created_by, last_used_at, last_seq, summary, summary_seq, summary_tainted)
values (%(id)s, %(organization)s, %(key)s, %(agent)s, %(by)s, clock_timestamp(), 0, '', 0, false)
on conflict (organization_id, key) do update set last_used_at = clock_timestamp()
returning id, last_seq
"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who writes: an agent, at which place of which run."""

    organization_id: UUID
    agent: str = ""
    run_id: UUID | None = None
    node: str = ""
    visit: int = 1


@dataclass(frozen=True)
class Said:
    """A message to add; `origin` is the same whenever it is tried again."""

    origin: str
    message: Message
    tainted: bool = False


def add_turns(source: Source, key: str, said: Sequence[Said]) -> list[int]:
    """Add what was said to the session, which is made where there is none; gives the `seq` of each.

    What has been added before, by its origin, stays as it is.
    """
    with scope(organization=source.organization_id), transaction.atomic():
        session, last_seq = _open(source, key)
        known = _known(session, said)
        fresh = [one for one in said if one.origin not in known]
        rows = [_row(source, session, last_seq + number, one) for number, one in enumerate(fresh, start=1)]
        SessionTurn.objects.bulk_create(rows)
        AgentSession.objects.filter(pk=session).update(last_seq=last_seq + len(rows))
        transaction.on_commit(partial(short_term.push, session, [turn_of(row) for row in rows]), robust=True)
    seqs = known | {row.origin: row.seq for row in rows}
    return [seqs[one.origin] for one in said]


def _open(source: Source, key: str) -> tuple[UUID, int]:
    values: dict[str, Any] = {
        "id": uuid7(),
        "organization": source.organization_id,
        "key": key,
        "agent": source.agent,
        "by": f"run:{source.run_id}" if source.run_id else "",
    }
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, values)
        session, last_seq = cursor.fetchone()
    return session, last_seq


def _known(session: UUID, said: Sequence[Said]) -> dict[str, int]:
    origins = [one.origin for one in said]
    found = SessionTurn.objects.filter(session=session, origin__in=origins)
    return dict(found.values_list("origin", "seq"))


def _row(source: Source, session: UUID, seq: int, said: Said) -> SessionTurn:
    message = said.message
    return SessionTurn(
        organization_id=source.organization_id,
        session_id=session,
        seq=seq,
        role=message.role,
        content=cut(storable(message.content), LONGEST_CONTENT),
        tool_calls=[call.model_dump(mode="json", exclude_none=True) for call in message.tool_calls],
        tool_call_id=storable(message.tool_call_id or "")[:200],
        tainted=said.tainted,
        agent=source.agent,
        run_id=source.run_id,
        node=source.node,
        visit=source.visit,
        origin=said.origin,
    )


def find_session(organization: UUID, key: str) -> AgentSession | None:
    """Give the session of this key; None before its first turn."""
    with scope(organization=organization):
        return AgentSession.objects.filter(key=key).first()


def turns_after(session: AgentSession, seq: int) -> list[Turn]:
    """Give the turns after `seq` in order (of more than MOST_READ the last), from Redis where it has them all."""
    if session.last_seq <= seq:
        return []
    known = short_term.read(session.pk, session.last_seq)
    if known and known[0].seq <= seq + 1:
        return [turn for turn in known if turn.seq > seq]
    with scope(organization=session.organization_id):
        newest = SessionTurn.objects.filter(session=session, seq__gt=seq).order_by("-seq")[:MOST_READ]
        turns = [turn_of(row) for row in reversed(newest)]
        short_term.rebuild(session.pk, turns)
        if not AgentSession.objects.filter(pk=session.pk).exists():
            short_term.forget([session.pk])  # erased since it was read: what is gone does not come back
    return turns


def turn_of(row: SessionTurn) -> Turn:
    """Give the turn as agents see it."""
    calls: JSON = row.tool_calls
    message = Message(
        role=row.role,
        content=row.content,
        tool_calls=tuple(calls),
        tool_call_id=row.tool_call_id or None,
    )
    return Turn(seq=row.seq, message=message, tainted=row.tainted, agent=row.agent)


def keep_summary(organization: UUID, key: str, *, seq: int, summary: str, tainted: bool) -> str:
    """Keep the summary of the turns up to `seq`, unless there is one that covers more; gives the summary."""
    kept = storable(summary)
    with scope(organization=organization):
        older = AgentSession.objects.filter(key=key, summary_seq__lt=seq, last_seq__gte=seq)
        older.update(summary=kept, summary_seq=seq, summary_tainted=tainted)
    return kept
