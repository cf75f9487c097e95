"""Memories: kept once each, and found again by what they are about, how fresh they are and how much they matter."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django_scopes import scope
from pydantic import BaseModel, ConfigDict

from apps.agents.memory.turns import Source
from apps.agents.models import Memory
from apps.common.fields import vector_text
from apps.integrations.embeddings import Embedder, Vector

NEAREST = 200  # by meaning alone; freshness and importance order these
HALF_LIFE_DAYS = 30.0  # after which an unused memory counts half
LEAST_RECENCY = 0.1  # however old it is: what is old and to the point is still found

# One statement: the organization and whose memories they are stand beside the order by distance, so that no memory of
# others is ever among the nearest. An agent at work (`at_work`) finds those of its session and its own that are of no
# session; a search finds those that fit every filter it names.
_RECALL = """
with nearest as (
    select id, session_id, agent, kind, text, importance, tainted, run_id, created_at, last_recalled_at, recalls,
        1 - (embedding <=> %(vector)s::vector) as relevance,
        greatest(%(least_recency)s, power(0.5, greatest(0, extract(epoch from
            clock_timestamp() - greatest(created_at, last_recalled_at))) / 86400.0 / %(half_life)s))::float8 as recency
    from agents_memory
    where organization_id = %(organization)s and embedder = %(embedder)s
        and case when %(at_work)s
            then session_id = %(session)s::uuid or (session_id is null and agent = %(agent)s)
            else (%(session)s::uuid is null or session_id = %(session)s::uuid)
                and (%(agent)s::text is null or agent = %(agent)s)
                and (%(kind)s::text is null or kind = %(kind)s)
        end
    order by embedding <=> %(vector)s::vector
    limit %(nearest)s
)
select *, relevance * recency * importance as score from nearest
where relevance >= %(least)s
order by score desc, id desc
limit %(limit)s
"""


class Recalled(BaseModel):
    """A memory that was found, and why: `score` is relevance x recency x importance."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    text: str
    kind: str
    score: float
    relevance: float  # how near it is to the question: 1 is the same
    recency: float  # 1 is fresh, a half after 30 days without use
    importance: float
    tainted: bool
    agent: str
    session_id: UUID | None
    run_id: UUID | None
    created_at: datetime
    last_recalled_at: datetime | None
    recalls: int

    @property
    def why(self) -> str:
        """Say how the score comes about."""
        return f"relevance {self.relevance:.2f} x recency {self.recency:.2f} x importance {self.importance:.2f}"


class Whose(BaseModel):
    """Which memories are meant: of an agent at work, or all that fit the filters."""

    organization_id: UUID
    agent: str | None = None
    session: UUID | None = None
    kind: str | None = None
    at_work: bool = False


def keep(
    source: Source, *, session: UUID | None, text: str, kind: str, importance: float, tainted: bool, origin: str,
    embedder: str, vector: Vector,
) -> UUID:  # fmt: skip
    """Keep a memory and give its id; one of this origin that is there already stays as it is."""
    with scope(organization=source.organization_id):
        memory, _ = Memory.objects.get_or_create(
            organization_id=source.organization_id,
            origin=origin,
            defaults={
                "session_id": session,
                "agent": source.agent,
                "kind": kind,
                "text": text,
                "importance": importance,
                "tainted": tainted,
                "run_id": source.run_id,
                "node": source.node,
                "embedder": embedder,
                "embedding": vector,
            },
        )
    return memory.pk


def find(whose: Whose, embedder: Embedder, vector: Vector, limit: int) -> list[Recalled]:
    """Give the memories that have to do with it, the best first."""
    values: dict[str, Any] = {
        "organization": whose.organization_id,
        "agent": whose.agent,
        "session": whose.session,
        "kind": whose.kind,
        "at_work": whose.at_work,
        "embedder": embedder.name,
        "vector": vector_text(vector),
        "least": embedder.least,
        "nearest": max(NEAREST, limit),
        "half_life": HALF_LIFE_DAYS,
        "least_recency": LEAST_RECENCY,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RECALL, values)
        columns = [column.name for column in cursor.description]
        return [Recalled.model_validate(dict(zip(columns, row, strict=True))) for row in cursor.fetchall()]


def note_recall(organization: UUID, memories: Sequence[UUID]) -> None:
    """Note that these were of use, which keeps them fresh."""
    with scope(organization=organization):
        found = Memory.objects.filter(pk__in=memories)
        found.update(last_recalled_at=Now(), recalls=F("recalls") + 1)
