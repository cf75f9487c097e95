"""What stands behind `ctx.remember` and `ctx.recall`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from django.db import IntegrityError

from apps.agents.memory import memories
from apps.agents.memory.memories import Recalled, Whose
from apps.agents.memory.session import source_of
from apps.agents.memory.turns import add_turns, find_session
from apps.agents.memory.writing import storable
from apps.agents.models import Memory
from apps.agents.models.memory import LONGEST_TEXT
from apps.common.asyncio_loop import run_coroutine
from apps.common.database import on_thread
from apps.common.errors import Fatal
from apps.common.json import JSON
from apps.integrations.embeddings import Embedder, Vector, embed

if TYPE_CHECKING:
    from apps.agents.context import Context

Kind = Literal["fact", "reflection", "note"]
Scope = Literal["session", "agent"]

MOST_MEMORIES = 50
LONGEST_QUERY = 4_000


@dataclass(frozen=True)
class NewMemory:
    """Something to remember; raises Fatal `invalid_memory` for what cannot be one."""

    text: str
    kind: str
    importance: float
    tainted: bool
    scope: str
    origin: str  # the same whenever it is tried again

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", storable(self.text).strip())
        if not 0 < len(self.text) <= LONGEST_TEXT:
            raise _invalid(f"A memory has 1 to {LONGEST_TEXT:,} characters, not {len(self.text):,}.")
        if self.kind not in Memory.Kind.values:
            raise _invalid(f"A memory is a {', '.join(Memory.Kind.values)}, not '{self.kind}'.")
        if not 0 < self.importance <= 1:
            raise _invalid(f"The importance of a memory is above 0 and at most 1, not {self.importance:g}.")
        if self.scope not in {"session", "agent"}:
            raise _invalid(f"A memory is of the 'session' or of the 'agent', not of '{self.scope}'.")


def remember(ctx: "Context", new: NewMemory) -> JSON:
    """Keep a memory and give its id."""
    return _keep(ctx, new, *run_coroutine(embed([new.text])))


async def aremember(ctx: "Context", new: NewMemory) -> JSON:
    """Do what `remember` does, for async code."""
    return await on_thread(_keep, ctx, new, *await embed([new.text]))


def _keep(ctx: "Context", new: NewMemory, embedder: Embedder, vectors: list[Vector]) -> JSON:
    try:
        return _keep_now(ctx, new, embedder, vectors)
    except IntegrityError:  # the session was erased between the two: it begins anew
        return _keep_now(ctx, new, embedder, vectors)


def _keep_now(ctx: "Context", new: NewMemory, embedder: Embedder, vectors: list[Vector]) -> JSON:
    session = _session_of(ctx) if new.scope == "session" else None
    if session is None and not ctx.agent:
        raise _invalid("Outside of an agent only a session can remember.")
    kept = memories.keep(
        source_of(ctx), session=session, text=new.text, kind=new.kind, importance=new.importance, tainted=new.tainted,
        origin=new.origin, embedder=embedder.name, vector=vectors[0],
    )  # fmt: skip
    return str(kept)


def _session_of(ctx: "Context") -> UUID | None:
    """Give the session's id; one without turns is made, so that its memories leave with it."""
    if ctx.session is None:
        return None
    known = find_session(ctx.organization_id, ctx.session.key)
    if known is None:
        add_turns(source_of(ctx), ctx.session.key, ())
        known = find_session(ctx.organization_id, ctx.session.key)
    return known.pk if known else None


def recall(ctx: "Context", query: str, limit: int) -> JSON:
    """Find memories of the session and of the agent, and note that they were of use."""
    return _find(ctx, limit, *run_coroutine(embed([_asked(query)])))


async def arecall(ctx: "Context", query: str, limit: int) -> JSON:
    """Do what `recall` does, for async code."""
    return await on_thread(_find, ctx, limit, *await embed([_asked(query)]))


def _asked(query: str) -> str:
    return storable(query)[:LONGEST_QUERY]


def _find(ctx: "Context", limit: int, embedder: Embedder, vectors: list[Vector]) -> JSON:
    session = find_session(ctx.organization_id, ctx.session.key) if ctx.session else None
    whose = Whose(
        organization_id=ctx.organization_id, agent=ctx.agent, session=session.pk if session else None, at_work=True
    )
    found = memories.find(whose, embedder, vectors[0], min(max(limit, 1), MOST_MEMORIES))
    memories.note_recall(ctx.organization_id, [one.id for one in found])
    return [one.model_dump(mode="json") for one in found]


def recalled(ctx: "Context", written: list[JSON]) -> list[Recalled]:
    """Read what a recall has recorded; what it brings from outside taints what follows."""
    found = [Recalled.model_validate(one) for one in written]
    ctx.tainted = ctx.tainted or any(one.tainted for one in found)
    return found


def _invalid(message: str) -> Fatal:
    return Fatal(message, code="invalid_memory")
