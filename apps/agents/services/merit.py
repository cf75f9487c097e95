"""Ordering those who can do something by merit.

1. Who takes the task by its schema, whose breaker is closed, who has room, and who has not failed at this visit yet.
2. The score: success, speed, price and room, each from 0 to 1 and weighted. What was never measured counts as good.
3. Whose score is within TOLERANCE of the best is as good: of those what somebody installed or made comes before what is
   built in, then who is less loaded, then the name. So without figures the choice is the same every time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from apps.agents import registry
from apps.agents.registry import AgentType
from apps.agents.store import figures
from apps.agents.store.figures import Figures
from apps.common.errors import Fatal
from apps.common.json import JSON

WEIGHTS = {"success": 0.5, "speed": 0.2, "price": 0.15, "room": 0.15}
TOLERANCE = 0.05
USUAL_SECONDS = 5.0  # a call that takes so long has half of the points for speed
USUAL_USD = 0.05  # and one that costs so much half of those for its price


@dataclass(frozen=True)
class Candidate:
    """An agent, or an instance of one, with all that the choice looks at."""

    agent_type: AgentType
    figures: Figures
    fits: bool = True
    has_failed: bool = False  # at this visit, in an earlier attempt
    verdict: str = ""

    @property
    def name(self) -> str:
        """Give the name under which figures are kept."""
        return self.agent_type.measured_as

    @property
    def parts(self) -> dict[str, float]:
        """Give what the score is made of, each from 0 to 1."""
        return {
            "success": self.figures.success,
            "speed": 1 / (1 + self.figures.latency_ms / 1000 / USUAL_SECONDS),
            "price": 1 / (1 + self.figures.usd / USUAL_USD),
            "room": max(0.0, 1 - self.agent_type.load),
        }

    @property
    def score(self) -> float:
        """Give the weighted sum."""
        return round(sum(WEIGHTS[name] * part for name, part in self.parts.items()), 4)

    @property
    def order(self) -> tuple[bool, float, str]:
        """Give the place among those who are as good."""
        return self.agent_type.kind == "builtin", round(self.agent_type.load, 4), self.name

    def as_json(self) -> dict[str, Any]:
        """Give it as `GET /v1/agents/route` and the run's page show it."""
        known = self.figures
        return {
            "agent": self.agent_type.name,
            "candidate": self.name,
            "kind": self.agent_type.kind,
            "score": self.score,
            "parts": {name: round(part, 4) for name, part in self.parts.items()},
            "calls": known.calls,
            "success": round(known.success, 4),
            "latency_ms": round(known.latency_ms, 1),
            "p95_ms": None if known.p95_ms is None else round(known.p95_ms, 1),
            "usd_per_call": round(known.usd, 6),
            "load": round(self.agent_type.load, 4),
            "has_room": self.agent_type.has_room,
            "breaker": known.breaker,
            "failures_in_a_row": known.failures,
            "fits": self.fits,
            "has_failed": self.has_failed,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Choice:
    """Who gets a task, and the whole table it was chosen from, the best first."""

    capability: str
    chosen: Candidate | None  # None: nobody may be asked now
    table: Sequence[Candidate]

    @property
    def reason(self) -> str:
        """Give the choice in a sentence."""
        if self.chosen is None:
            return f"Everybody who can do '{self.capability}' has failed too often; the first is tried again later."
        others = len(self.table) - 1
        if not others:
            return f"{self.chosen.name} is the only one who can do '{self.capability}'."
        of = f"1 other can do '{self.capability}'" if others == 1 else f"{others} others can do '{self.capability}'"
        return f"{self.chosen.name} scores {self.chosen.score:.2f}; {of}."

    def as_json(self) -> dict[str, Any]:
        """Give it as `GET /v1/agents/route` does."""
        return {
            "capability": self.capability,
            "chosen": self.chosen.name if self.chosen else None,
            "agent": self.chosen.agent_type.name if self.chosen else None,
            "reason": self.reason,
            "weights": WEIGHTS,
            "tolerance": TOLERANCE,
            "candidates": [one.as_json() for one in self.table],
        }


def route(organization_id: UUID, capability: str, task: JSON = None, *, failed: Sequence[str] = ()) -> Choice:
    """Give who would get a task now, and why; raises NotFound when nobody can do this. Changes nothing."""
    able = registry.able_for(organization_id, capability)
    if not able:
        registry.select_for(organization_id, capability)  # says so
    measured = figures.read(organization_id, capability)
    places = [place for agent_type in able for place in agent_type.places(capability)]
    known = [
        Candidate(one, measured.get(one.measured_as, Figures()), has_failed=one.measured_as in failed) for one in places
    ]
    if task is not None and len(known) > 1:
        known = [replace(one, fits=_fits(one.agent_type, task, capability)) for one in known]
    return _ranked(capability, known)


def _fits(agent_type: AgentType, task: JSON, capability: str) -> bool:
    try:
        agent_type.input.validate_python(agent_type.addressed(task, capability))
    except (ValueError, Fatal):
        return False
    return True


def _ranked(capability: str, known: Sequence[Candidate]) -> Choice:
    """Order the candidates and say of each what came of it."""
    tiers: dict[int, list[Candidate]] = {}
    for one in known:
        tiers.setdefault(_tier(one), []).append(one)
    table = [one for tier in sorted(tiers) for one in _by_merit(tiers[tier])]
    chosen = table[0] if table[0].figures.breaker != "open" else None
    told = [replace(one, verdict=_verdict(one, table[0], chosen is not None)) for one in table]
    return Choice(capability, told[0] if chosen else None, told)


def _tier(one: Candidate) -> int:
    """Give how far behind somebody stands whatever the score is."""
    if one.figures.breaker == "open":
        return 4
    if not one.fits:
        return 3
    if not one.agent_type.has_room:
        return 2
    return int(one.has_failed)


def _by_merit(equals: Sequence[Candidate]) -> list[Candidate]:
    best = max(one.score for one in equals)

    def place(one: Candidate) -> tuple[float, bool, float, str]:
        behind = best - one.score
        return (0.0 if behind <= TOLERANCE else behind, *one.order)

    return sorted(equals, key=place)


def _verdict(one: Candidate, first: Candidate, somebody: bool) -> str:
    if one.figures.breaker == "open":
        return f"left alone for {one.figures.rest:.0f} s after {one.figures.failures} failures in a row"
    if one is first and somebody:
        return "chosen"
    if not one.fits:
        return "does not take this task"
    if not one.agent_type.has_room:
        return "has no room, or is not there"
    if one.has_failed:
        return "has failed at this visit"
    return "as good, later in order" if one.score >= first.score - TOLERANCE else "scores less"
