"""The streams in Redis that wake readers. All of it may be lost or wrong: readers look into the rows.

An entry's id is `<seq>-0`, and a consumer group of the stream has the name of the group, so that each entry wakes one
waiting reader of every group.
"""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from apps.common import redis

if TYPE_CHECKING:
    from redis import Redis

LOOK_SECONDS = 1.0  # after which a reader that nobody has woken looks for itself
ANSWER_SECONDS = 2.0  # what Redis may take longer than it was told to wait
KEPT_SECONDS = 86_400  # of a stream in which nothing comes
READER = "reader"  # of a group, for all: with NOACK nothing is noted for one
MOST_ENTRIES = 1000  # of a stream, about; what is trimmed is found in the rows


def announce(organization_id: UUID, channel: str, seq: int) -> None:
    """Wake one waiting reader of each group of the channel."""
    key = _key(organization_id, channel)
    redis.ask(lambda client: _add(client, key, [seq]))


def forget(organization_id: UUID, channel: str) -> None:
    """Delete the stream of a channel that is deleted: the next one of its name begins with 1 again."""
    redis.ask(lambda client: client.delete(_key(organization_id, channel)))


def wait(
    organization_id: UUID, channel: str, group: str, *, seconds: float, waiting: Callable[[], Sequence[int]]
) -> None:
    """Return when there may be something for a reader of the group, and after `seconds` at the latest (0: at once).

    `waiting` gives what the group has still to read: the stream is filled with it where it has been lost.
    """
    key = _key(organization_id, channel)
    _until(seconds, lambda: _read_as_group(key, group, seconds, waiting))


def wait_for_news(organization_id: UUID, channel: str, *, after: int, seconds: float) -> None:
    """Return when the channel may have something behind `after`, and after `seconds` at the latest."""
    from redis.exceptions import ResponseError  # noqa: PLC0415

    key = _key(organization_id, channel)

    def read() -> bool:
        try:
            return bool(_patient().xread({key: f"{after}-0"}, count=1, block=_milliseconds(seconds)))
        except ResponseError:  # something else has the key
            return False

    _until(seconds, read)


def _until(seconds: float, read: Callable[[], bool]) -> None:
    """Wait by `read`; where Redis is silent or says nonsense, wait without it."""
    began = time.monotonic()
    if not redis.ask(lambda _: read()) and seconds > 0:
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))


def _read_as_group(key: str, group: str, seconds: float, waiting: Callable[[], Sequence[int]]) -> bool:
    from redis.exceptions import ResponseError  # noqa: PLC0415

    # Redis waits for ever when it is told to wait 0 ms, and not at all when it is told nothing.
    block = _milliseconds(seconds) if seconds > 0 else None
    try:
        return bool(_patient().xreadgroup(group, READER, {key: ">"}, count=1, block=block, noack=True))
    except ResponseError as error:
        if not str(error).startswith("NOGROUP"):
            return False  # something else has the key
    _make_group(key, group, waiting())
    return True  # whoever finds the group missing looks at once


def _make_group(key: str, group: str, waiting: Sequence[int]) -> None:
    """Make the group, the first time or after a loss, and wake the others who read in it."""
    from redis.exceptions import ResponseError  # noqa: PLC0415

    client = redis.client()
    try:
        client.xgroup_create(key, group, id="0", mkstream=True)
    except ResponseError:  # another reader was faster
        return
    _add(client, key, waiting)


def _add(client: "Redis", key: str, seqs: Sequence[int]) -> bool:
    pipeline = client.pipeline(transaction=False)
    for seq in seqs:
        pipeline.xadd(key, {"seq": seq}, id=f"{seq}-0", maxlen=MOST_ENTRIES, approximate=True)
    pipeline.expire(key, KEPT_SECONDS)
    pipeline.execute(raise_on_error=False)  # where a later entry is there already, that one wakes as well
    return True


def _key(organization_id: UUID, channel: str) -> str:
    return f"orchestra:bus:{organization_id.hex}:{channel}"


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


@cache
def _patient() -> "Redis":
    """A client that may wait, as the process's other one never does."""
    from redis import Redis  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=LOOK_SECONDS + ANSWER_SECONDS,
        socket_connect_timeout=redis.ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
