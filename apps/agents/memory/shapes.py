"""Sessions and memories as the API and the commands show them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from apps.agents.memory.finding import Found
from apps.agents.models import AgentSession, SessionTurn
from apps.common.json import JSON


class SessionShape(BaseModel):
    """A session in a list."""

    id: UUID
    key: str
    agent: str
    created_by: str | None
    created_at: datetime
    last_used_at: datetime
    turns: int
    summarized_turns: int
    url: str
    turns_url: str


class TurnShape(BaseModel):
    """Something that was said in a session."""

    seq: int
    role: str
    content: str
    tool_calls: list[dict[str, Any]]
    tool_call_id: str | None
    tainted: bool
    agent: str
    run: UUID | None
    node: str | None
    visit: int
    created_at: datetime


class SessionDetail(SessionShape):
    """A session with the summary of its older turns, and its last turns."""

    summary: str
    summary_tainted: bool
    last_turns: list[TurnShape]


class MemoryShape(BaseModel):
    """A memory; `score` and what it is made of are null where nobody searched."""

    id: UUID
    text: str
    kind: str
    agent: str | None
    session: str | None
    session_id: UUID | None
    importance: float
    tainted: bool
    run: UUID | None
    node: str | None
    recalls: int
    last_recalled_at: datetime | None
    created_at: datetime
    score: float | None = None
    relevance: float | None = None
    recency: float | None = None
    why: str | None = None


class Erased(BaseModel):
    """How many were erased."""

    erased: int


def session_shape(session: AgentSession) -> JSON:
    """Give a session in a list."""
    return SessionShape(**_columns(session)).model_dump(mode="json")


def session_detail(session: AgentSession, last_turns: list[SessionTurn]) -> JSON:
    """Give one session with its last turns."""
    detail = SessionDetail(
        **_columns(session),
        summary=session.summary,
        summary_tainted=session.summary_tainted,
        last_turns=[_turn(turn) for turn in last_turns],
    )
    return detail.model_dump(mode="json")


def turn_shape(turn: SessionTurn) -> JSON:
    """Give a turn."""
    return _turn(turn).model_dump(mode="json")


def memory_shape(found: Found) -> JSON:
    """Give a memory, with its score where it was searched for."""
    memory, recalled = found.memory, found.recalled
    scores = {name: getattr(recalled, name, None) for name in ("score", "relevance", "recency", "why")}
    shape = MemoryShape(
        id=memory.pk,
        text=memory.text,
        kind=memory.kind,
        agent=memory.agent or None,
        session=memory.session.key if memory.session else None,
        session_id=memory.session_id,
        importance=memory.importance,
        tainted=memory.tainted,
        run=memory.run_id,
        node=memory.node or None,
        recalls=memory.recalls,
        last_recalled_at=memory.last_recalled_at,
        created_at=memory.created_at,
        **scores,
    )
    return shape.model_dump(mode="json")


def _columns(session: AgentSession) -> dict[str, Any]:
    return {
        "id": session.pk,
        "key": session.key,
        "agent": session.agent,
        "created_by": session.created_by or None,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "turns": session.last_seq,
        "summarized_turns": session.summary_seq,
        "url": f"/v1/sessions/{session.pk}",
        "turns_url": f"/v1/sessions/{session.pk}/turns",
    }


def _turn(turn: SessionTurn) -> TurnShape:
    return TurnShape(
        seq=turn.seq,
        role=turn.role,
        content=turn.content,
        tool_calls=turn.tool_calls,
        tool_call_id=turn.tool_call_id or None,
        tainted=turn.tainted,
        agent=turn.agent,
        run=turn.run_id,
        node=turn.node or None,
        visit=turn.visit,
        created_at=turn.created_at,
    )
