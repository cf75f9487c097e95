"""What people and programs look at of memory: sessions, turns and memories of the organization in scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.agents.memory import memories as long_term
from apps.agents.memory.memories import Recalled, Whose
from apps.agents.memory.writing import storable
from apps.agents.models import AgentSession, Memory, SessionTurn
from apps.common.asyncio_loop import run_coroutine
from apps.common.database import release_connection
from apps.common.errors import Fatal, NotFound, Retryable, Unavailable
from apps.common.selectors import find_by_id
from apps.integrations.embeddings import embed


@dataclass(frozen=True)
class Found:
    """A memory, and how it was found where somebody searched."""

    memory: Memory
    recalled: Recalled | None = None


def sessions(agent: str | None = None, part: str = "") -> QuerySet[AgentSession]:
    """Give the sessions that this agent began, and that have this in their key."""
    found = AgentSession.objects.all()
    if agent:
        found = found.filter(agent=agent)
    return found.filter(Q(key__icontains=part) | Q(agent__icontains=part)) if part else found


def find_session(ref: str) -> AgentSession:
    """Give the session with this id, this key, or an id that ends so; raises NotFound."""
    return _by_id(ref) or AgentSession.objects.filter(key=ref).first() or find_by_id(AgentSession.objects.all(), ref)


def _by_id(ref: str) -> AgentSession | None:
    # First, so that nobody hides a session behind another one with its id for a key.
    try:
        return AgentSession.objects.filter(pk=UUID(ref)).first()
    except ValueError:
        return None


def turns(session: AgentSession) -> QuerySet[SessionTurn]:
    """Give the turns of a session."""
    return SessionTurn.objects.filter(session=session)


def memories(
    agent: str | None = None, session: AgentSession | None = None, kind: str | None = None
) -> QuerySet[Memory]:
    """Give the memories that fit every filter, without their vectors."""
    found = Memory.objects.select_related("session").defer("embedding")
    if agent:
        found = found.filter(agent=agent)
    if session is not None:
        found = found.filter(session=session)
    return found.filter(kind=kind) if kind else found


def find_memory(ref: str) -> Memory:
    """Give the memory with this id or ending of one; raises NotFound."""
    return find_by_id(memories(), ref)


def search(
    organization: UUID,
    query: str,
    *,
    agent: str | None = None,
    session: AgentSession | None = None,
    kind: str | None = None,
    limit: int = 50,
) -> Sequence[Found]:
    """Give the memories that have to do with a text, the best first, as an agent would recall them.

    Looking does not count as recalling. Raises Unavailable where the provider of embeddings does not answer.
    """
    release_connection()  # a provider may take its time
    try:
        embedder, (vector,) = run_coroutine(embed([storable(query)]))
    except (Fatal, NotFound, Retryable) as failed:
        raise Unavailable(f"Memories cannot be searched now: {failed}", code="embeddings_unavailable") from None
    whose = Whose(
        organization_id=organization, agent=agent or None, session=session.pk if session else None, kind=kind or None
    )
    found = long_term.find(whose, embedder, vector, limit)
    rows = memories().in_bulk([one.id for one in found])
    return [Found(rows[one.id], one) for one in found if one.id in rows]
