"""Rate limits: so many acts in a period, evenly spread, in one round trip for all the limits of a request.

The algorithm is GCRA (the virtual scheduling of ATM's traffic contracts): one number per limit says when its
allowance will be whole again. It lives in Redis, so that all processes count together; without Redis each process
counts alone, which is looser, but never open.
"""

import math
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

from redis import Redis
from redis.commands.core import Script

from apps.common import redis

_SPEC = re.compile(r"(\d+)/(?:(\d+)\s*)?(second|minute|hour|day)s?")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Limit:
    """So many acts (`amount`) within so many seconds (`period`)."""

    amount: int
    period: float


@cache
def parse_limit(text: str) -> Limit:
    """Read a limit as settings write it: `6000/minute`, `5/5 minutes`."""
    match = _SPEC.fullmatch(text)
    if not match or int(match[1]) < 1:
        raise ValueError(f"'{text}' is not a rate limit; write for example 600/minute or 5/5 minutes.")
    return Limit(int(match[1]), int(match[2] or 1) * _UNITS[match[3]])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an act is allowed, and what is left of the tightest limit."""

    allowed: bool
    limit: int
    remaining: int
    reset: float  # seconds until the allowance is whole again
    retry_after: float  # seconds until the next act is allowed


Bucket: TypeAlias = tuple[str, Limit]  # what is counted, by name, and how much of it is allowed


def hit(buckets: Sequence[Bucket]) -> Verdict:
    """Count one act against every bucket if all of them allow it, against none if one does not."""
    full_at = redis.ask(lambda client: _in_redis(client, buckets))
    if full_at is None:
        full_at = _memory.hit(buckets)
    return min((_verdict(limit, *state) for (_, limit), state in zip(buckets, full_at, strict=True)), key=_tightness)


def forgive(name: str) -> None:
    """Make a bucket's allowance whole again, as a successful sign-in does."""
    redis.ask(lambda client: client.delete(_key(name)))
    _memory.forget(name)


State: TypeAlias = tuple[bool, float]  # allowed, and in how many seconds the allowance is whole again


def _verdict(limit: Limit, allowed: bool, full_in: float) -> Verdict:
    interval = limit.period / limit.amount
    left = math.floor((limit.period - full_in) / interval + 1e-6)
    wait = 0.0 if allowed else max(0.0, full_in + interval - limit.period)
    return Verdict(allowed, limit.amount, max(0, left), full_in, wait)


def _tightness(verdict: Verdict) -> tuple[bool, float, int]:
    return verdict.allowed, -verdict.retry_after, verdict.remaining


# Times are whole microseconds: what Lua prints of them is exact.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local states, allowed = {}, true
for i, key in ipairs(KEYS) do
  local period, interval = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full = math.max(tonumber(redis.call('GET', key) or 0), now)
  local fits = full + interval <= now + period
  states[i] = {full, interval, fits}
  allowed = allowed and fits
end
local answer = {}
for i, key in ipairs(KEYS) do
  local full, interval, fits = unpack(states[i])
  if allowed then
    full = full + interval
    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
  end
  answer[2 * i - 1] = fits and 1 or 0
  answer[2 * i] = string.format('%.0f', full - now)
end
return answer
"""


def _in_redis(client: Redis, buckets: Sequence[Bucket]) -> list[State]:
    keys = [_key(name) for name, _ in buckets]
    arguments = [
        round(1_000_000 * seconds) for _, limit in buckets for seconds in (limit.period, limit.period / limit.amount)
    ]
    answer = cast("list[Any]", _script()(keys=keys, args=arguments, client=client))
    return [(bool(fits), int(full_in) / 1_000_000) for fits, full_in in zip(answer[::2], answer[1::2], strict=True)]


@cache
def _script() -> Script:
    return redis.client().register_script(_SCRIPT)


def _key(name: str) -> str:
    return f"orchestra:limit:{name}"


class _Memory:
    """The same count for one process."""

    MOST = 10_000

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.full_at: dict[str, float] = {}

    def hit(self, buckets: Sequence[Bucket]) -> list[State]:
        with self.lock:
            now = time.monotonic()
            self._prune(now)
            full = [max(self.full_at.get(name, 0.0), now) for name, _ in buckets]
            intervals = [limit.period / limit.amount for _, limit in buckets]
            fits = [
                start + interval <= now + limit.period + 1e-9
                for start, interval, (_, limit) in zip(full, intervals, buckets, strict=True)
            ]
            if all(fits):
                full = [start + interval for start, interval in zip(full, intervals, strict=True)]
                self.full_at.update(zip((name for name, _ in buckets), full, strict=True))
            return [(fit, end - now) for fit, end in zip(fits, full, strict=True)]

    def forget(self, name: str) -> None:
        with self.lock:
            self.full_at.pop(name, None)

    def _prune(self, now: float) -> None:
        if len(self.full_at) >= self.MOST:
            self.full_at = {name: full for name, full in self.full_at.items() if full > now}


_memory = _Memory()


def forget_all(*, everywhere: bool) -> None:
    """Make every allowance of this process, or of all, whole again, as tests need it."""
    _memory.full_at.clear()
    if everywhere:
        redis.ask(lambda client: [client.delete(key) for key in client.scan_iter(_key("*"))])
