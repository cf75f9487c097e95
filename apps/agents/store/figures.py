"""What is measured of agents: one statement for each call that ended, one for each choice.

Success forgets towards 1 with a half-life, so that an agent that was bad once gets another chance by itself. Times are
the database's; they go out as seconds from now.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.common.database import first_row
from apps.common.ids import uuid7

WEIGHT = 0.2  # of the latest call
HALF_LIFE = 600.0  # seconds after which half of what went wrong is forgotten
KEPT_TIMES = 50
BREAKER_FAILURES = 5  # in a row
BREAKER_REST = 30.0  # seconds; twice as long after each probe that fails
BREAKER_LONGEST_REST = 900.0
PROBE_SECONDS = 120.0  # that a probe has before another one is let through

# A call that ended after the breaker opened neither closes it nor opens it for longer.
_RECORD = """
insert into agents_agentfigures as f (id, organization_id, agent, capability, created_at, changed_at, calls, success,
    latency_ms, usd, recent_ms, failures, openings)
values (%(id)s, %(organization)s, %(agent)s, %(capability)s, statement_timestamp(), statement_timestamp(), 1,
    1 - %(weight)s * (1 - %(success)s), %(ms)s, %(usd)s, array[%(ms)s]::float8[],
    case when %(success)s = 1 then 0 else 1 end, 0)
on conflict (organization_id, capability, agent) do update set
    calls = f.calls + 1, changed_at = statement_timestamp(),
    success = (1 - %(weight)s) * (1 - (1 - f.success)
        * power(0.5, extract(epoch from statement_timestamp() - f.changed_at)::float8 / %(half_life)s))
        + %(weight)s * %(success)s,
    latency_ms = f.latency_ms + %(weight)s * (excluded.latency_ms - f.latency_ms),
    usd = f.usd + %(weight)s * (excluded.usd - f.usd),
    recent_ms = (excluded.recent_ms || f.recent_ms)[1:%(kept)s],
    failures = case when %(success)s = 1 then 0 else f.failures + 1 end,
    openings = case when f.open_until > statement_timestamp() then f.openings when %(success)s = 1 then 0
        when f.failures + 1 >= %(most)s then f.openings + 1 else f.openings end,
    open_until = case when f.open_until > statement_timestamp() then f.open_until when %(success)s = 1 then null
        when f.failures + 1 >= %(most)s then statement_timestamp()
            + make_interval(secs => least(%(longest)s, %(rest)s * power(2, least(f.openings, 20))))
        else f.open_until end,
    probe_until = null
returning 1
"""
_READ = """
select coalesce(json_agg(json_build_object('agent', agent, 'calls', calls, 'success', 1 - (1 - success)
        * power(0.5, extract(epoch from statement_timestamp() - changed_at)::float8 / %(half_life)s),
    'latency_ms', latency_ms, 'usd', usd, 'recent_ms', recent_ms, 'failures', failures,
    'opens_in', extract(epoch from open_until - statement_timestamp())::float8,
    'probed_for', extract(epoch from probe_until - statement_timestamp())::float8)), '[]')
from agents_agentfigures where organization_id = %(organization)s and capability = %(capability)s
"""
_PROBE = """
update agents_agentfigures set probe_until = statement_timestamp() + make_interval(secs => %(seconds)s)
where organization_id = %(organization)s and capability = %(capability)s and agent = %(agent)s
    and open_until <= statement_timestamp() and (probe_until is null or probe_until <= statement_timestamp())
returning 1
"""
Values = dict[str, Any]
_RESTS: Values = {"longest": BREAKER_LONGEST_REST, "rest": BREAKER_REST, "most": BREAKER_FAILURES}


@dataclass(frozen=True)
class Figures:
    """What is known of an agent doing one thing; nothing was measured yet: everything is as good as can be."""

    calls: int = 0
    success: float = 1.0
    latency_ms: float = 0.0
    usd: float = 0.0
    recent_ms: list[float] = field(default_factory=list)
    failures: int = 0
    opens_in: float | None = None  # seconds until the breaker lets a call through; None: it is closed
    probed_for: float | None = None

    @property
    def breaker(self) -> str:
        """Give `closed`, `open`, or `half_open` when somebody may try whether it is well again."""
        if self.opens_in is None:
            return "closed"
        return "open" if self.opens_in > 0 or (self.probed_for or 0) > 0 else "half_open"

    @property
    def rest(self) -> float:
        """Give the seconds until somebody may try again."""
        return max(self.opens_in or 0.0, self.probed_for or 0.0, 0.0)

    @property
    def p95_ms(self) -> float | None:
        """Give what 95 of 100 calls were faster than."""
        ordered = sorted(self.recent_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] if ordered else None


def record(organization: UUID, agent: str, capability: str, *, success: bool, ms: float, usd: float = 0.0) -> None:
    """Note how a call ended; the breaker opens at the fifth failure in a row, and closes at a success."""
    place: Values = {"id": uuid7(), "organization": organization, "agent": agent, "capability": capability}
    measured: Values = {"success": 1.0 if success else 0.0, "ms": float(ms), "usd": float(usd)}
    bounds: Values = {"weight": WEIGHT, "half_life": HALF_LIFE, "kept": KEPT_TIMES}
    first_row(_RECORD, **place, **measured, **bounds, **_RESTS)


def read(organization: UUID, capability: str) -> dict[str, Figures]:
    """Give the figures of everybody who has done this, by agent."""
    row = first_row(_READ, organization=organization, capability=capability, half_life=HALF_LIFE)
    return {one.pop("agent"): Figures(**one) for one in (row[0] if row else [])}


def probe(organization: UUID, agent: str, capability: str) -> bool:
    """Tell whether the caller is the one that may try an agent whose breaker is half open."""
    place: Values = {"organization": organization, "agent": agent, "capability": capability}
    return first_row(_PROBE, **place, seconds=PROBE_SECONDS) is not None
