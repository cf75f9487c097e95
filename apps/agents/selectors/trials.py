"""What a trial of two versions of an agent has shown so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from django.db.models import QuerySet

from apps.agents.models import AgentDefinition, AgentTrial, AgentTrialFigures
from apps.agents.selectors.definitions import find_agent
from apps.common.errors import NotFound

ENOUGH_VISITS = 20  # of each version, before anything is said
SURE = 0.95
NOTABLE = 0.1  # of the price of a visit
MICRO = 1_000_000
_Z = NormalDist().inv_cdf((1 + SURE) / 2)


@dataclass(frozen=True)
class Arm:
    """One version in a trial; what was not counted yet is None."""

    number: int
    percent: int
    visits: int
    failures: int
    success: float | None
    success_between: tuple[float, float] | None  # with 95 % confidence
    turns: float | None  # a visit
    tokens: float | None
    usd: float | None


def trial_of(agent: AgentDefinition) -> AgentTrial | None:
    """Give the trial of an agent's versions that is going on."""
    return agent.trials.select_related("agent").filter(ended_at=None).first()


def find_trial(name: str) -> AgentTrial:
    """Give the trial of an agent's versions that is going on, or raise NotFound."""
    found = trial_of(find_agent(name))
    if found is None:
        raise NotFound(f"No version of '{name}' is on trial.", code="no_trial")
    return found


def ended_trials(agent: AgentDefinition) -> QuerySet[AgentTrial]:
    """Give the trials that were decided, the latest first."""
    return agent.trials.exclude(ended_at=None).order_by("-ended_at")


def arms(trial: AgentTrial) -> Sequence[Arm]:
    """Give the two versions, the one on trial first."""
    counted = {row.number: row for row in trial.figures.all()}
    shares = {trial.candidate: trial.percent, trial.baseline: 100 - trial.percent}
    return [_arm(number, percent, counted.get(number)) for number, percent in shares.items()]


def verdict(newer: Arm, older: Arm) -> str:
    """Say in a sentence what the figures allow to say."""
    if min(newer.visits, older.visits) < ENOUGH_VISITS:
        return f"Too early to tell: each version needs {ENOUGH_VISITS} visits."
    better, worse = sorted((newer, older), key=lambda arm: arm.success or 0.0, reverse=True)
    if _differ(better, worse):
        return f"Version {better.number} succeeds more often: {_percent(better)}, against {_percent(worse)}."
    cheaper, dearer = sorted((newer, older), key=lambda arm: arm.usd or 0.0)
    if (cheaper.usd or 0.0) < (1 - NOTABLE) * (dearer.usd or 0.0):
        return f"Both succeed about as often; version {cheaper.number} costs less."
    return "No difference is to be seen so far."


def _arm(number: int, percent: int, row: AgentTrialFigures | None) -> Arm:
    if row is None or not row.visits:
        return Arm(number, percent, 0, 0, None, None, None, None, None)
    return Arm(
        number=number,
        percent=percent,
        visits=row.visits,
        failures=row.failures,
        success=1 - row.failures / row.visits,
        success_between=_wilson(row.visits - row.failures, row.visits),
        turns=row.turns / row.visits,
        tokens=row.tokens / row.visits,
        usd=row.cost_micro_usd / row.visits / MICRO,
    )


def _wilson(successes: int, visits: int) -> tuple[float, float]:
    """The interval of Wilson (1927), which also holds where few or all succeed."""
    share, spread = successes / visits, _Z * _Z / visits
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * sqrt(share * (1 - share) / visits + spread / visits / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _differ(one: Arm, other: Arm) -> bool:
    """Whether two shares differ for sure: the two-proportion z-test."""
    visits = one.visits + other.visits
    pooled = 1 - (one.failures + other.failures) / visits
    spread = sqrt(pooled * (1 - pooled) * (1 / one.visits + 1 / other.visits))
    return spread > 0 and abs((one.success or 0.0) - (other.success or 0.0)) / spread > _Z


def _percent(arm: Arm) -> str:
    return f"{100 * (arm.success or 0.0):.0f} % of {arm.visits:,} visits"
