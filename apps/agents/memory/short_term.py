"""The last turns of a session in Redis: a list that is believed where it ends with the last turn PostgreSQL knows.

Writers push after their commit, in any order and sometimes never (a process may die between the two). So a reader
takes the list only when it is without gaps and up to date, and makes it anew from PostgreSQL otherwise.
"""

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from apps.common import redis
from apps.integrations.language_models import Message

LIFETIME_SECONDS = 3600
MOST_TURNS = 200
MOST_BYTES = 512 * 1024


class Turn(BaseModel):
    """Something that was said in a session."""

    model_config = ConfigDict(frozen=True)

    seq: int
    message: Message
    tainted: bool = False
    agent: str = ""


def read(session: UUID, last_seq: int) -> list[Turn] | None:
    """Give the last turns up to `last_seq`; None where Redis is silent, has none, or not these."""
    written = redis.ask(lambda client: client.lrange(_key(session), 0, -1)) or []
    try:
        turns = [Turn.model_validate_json(one) for one in written]
    except ValidationError:
        return None  # written by another version
    is_whole = bool(turns) and turns[-1].seq == last_seq and all(b.seq == a.seq + 1 for a, b in pairwise(turns))
    return turns if is_whole else None


def push(session: UUID, turns: Sequence[Turn]) -> None:
    """Add turns to the list where there is one."""
    if turns:
        _write(session, [turn.model_dump_json() for turn in turns], anew=False)


def rebuild(session: UUID, turns: Sequence[Turn]) -> None:
    """Make the list of these turns: of the last of them, as far as there is room."""
    written, size = [], 0
    for turn in reversed(turns[-MOST_TURNS:]):
        text = turn.model_dump_json()
        size += len(text)
        if size > MOST_BYTES:
            break
        written.append(text)
    if written:
        _write(session, written[::-1], anew=True)


def forget(sessions: Sequence[UUID]) -> None:
    """Delete the lists of these sessions."""
    if sessions:
        redis.ask(lambda client: client.delete(*map(_key, sessions)))


def _write(session: UUID, turns: list[str], *, anew: bool) -> None:
    with_all = redis.ask(lambda client: client.pipeline(transaction=True))
    if with_all is None:
        return
    key = _key(session)
    if anew:
        with_all.delete(key)
        with_all.rpush(key, *turns)
    else:
        with_all.rpushx(key, *turns)
    with_all.ltrim(key, -MOST_TURNS, -1)
    with_all.expire(key, LIFETIME_SECONDS)
    redis.ask(lambda _client: with_all.execute())


def _key(session: UUID) -> str:
    return f"orchestra:session:{session}"
