"""Calls of language models: which there were, and what they came to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate

from apps.observability.models import Usage

GROUPS: Mapping[str, str] = {  # by what calls are put together: the column
    "model": "model",
    "agent": "agent",
    "workflow": "workflow",
    "caller": "caller",
    "day": "day",
    "run": "run_id",
}
FILTERS = ("model", "agent", "workflow", "caller")
Outcome = Usage.Outcome


@dataclass(frozen=True, slots=True)
class Sums:
    """What calls came to; `failed` and `lost` ones, those that the cache answered and those under way are counted too.

    `unpriced` calls are those whose cost nobody knows: it is missing in the sum.
    """

    calls: int = 0
    failed: int = 0
    lost: int = 0
    cached: int = 0
    under_way: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micro_usd: int = 0

    @property
    def tokens(self) -> int:
        """Give the tokens in and out."""
        return self.input_tokens + self.output_tokens


def calls(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    run: UUID | None = None,
    outcome: str | None = None,
    **equal: str | None,
) -> QuerySet[Usage]:
    """Give the calls within a time, of a run, with an outcome, and by `model`, `agent`, `workflow` or `caller`."""
    found = Usage.objects.all()
    if since is not None:
        found = found.filter(created_at__gte=since)
    if until is not None:
        found = found.filter(created_at__lt=until)
    if run is not None:
        found = found.filter(run_id=run)
    if outcome:
        found = found.filter(outcome=outcome)
    wanted = {name: value for name, value in equal.items() if value is not None}
    assert set(wanted) <= set(FILTERS)  # noqa: S101 - the names come from code
    return found.filter(**wanted)


def sums(found: QuerySet[Usage]) -> Sums:
    """Give what the calls came to together."""
    return Sums(**found.aggregate(**_FIGURES))


def sums_by(found: QuerySet[Usage], group: str, most: int) -> list[tuple[str, Sums]]:
    """Give what they came to by a group, the most expensive first, at most so many; a day is `2026-01-31`."""
    column = GROUPS[group]
    if group == "day":
        found = found.annotate(day=TruncDate("created_at", tzinfo=UTC))
    rows = found.order_by().values(column).annotate(**_FIGURES).order_by("-cost_micro_usd", "-calls", column)[:most]
    return [("" if row[column] is None else str(row[column]), _sums_in(row)) for row in rows]


def of_run(run: UUID) -> Sums:
    """Give what the calls of a run came to."""
    return of_runs([run]).get(run, Sums())


def of_runs(runs: Iterable[UUID]) -> dict[UUID, Sums]:
    """Give what the calls of each run came to; a run without any is not among them."""
    rows = Usage.objects.filter(run_id__in=list(runs)).order_by().values("run_id").annotate(**_FIGURES)
    return {run: _sums_in(row) for row in rows if (run := row["run_id"]) is not None}


def models_of_run(run: UUID) -> list[str]:
    """Give the models that have answered in a run, by name."""
    answered = Usage.objects.filter(run_id=run, outcome__in=[Outcome.ANSWERED, Outcome.CACHED])
    return list(answered.order_by("model").values_list("model", flat=True).distinct())


def last_uses(models: Iterable[str]) -> dict[str, datetime]:
    """Give when each model was last asked; one that never was is not among them."""
    # The newest row of each by the index: an aggregate would read all of them.
    each = [
        Usage.objects.filter(model=name).order_by("-created_at").values_list("model", "created_at")[:1]
        for name in models
    ]
    return dict(each[0].union(*each[1:], all=True)) if each else {}


def of_node_run(run: UUID, node_run: UUID) -> QuerySet[Usage]:
    """Give the calls of a node run, the oldest first."""
    # By the run too, which has an index.
    return Usage.objects.filter(run_id=run, node_run_id=node_run).order_by("created_at", "id")


def _sums_in(row: Mapping[str, Any]) -> Sums:
    return Sums(**{one.name: row[one.name] for one in fields(Sums)})


def _of_outcome(outcome: str) -> Count:
    return Count("pk", filter=Q(outcome=outcome))


_FIGURES: Mapping[str, Any] = {
    "calls": Count("pk"),
    "failed": _of_outcome(Outcome.FAILED),
    "lost": _of_outcome(Outcome.LOST),
    "cached": _of_outcome(Outcome.CACHED),
    "under_way": _of_outcome(Outcome.UNDER_WAY),
    "unpriced": Count("pk", filter=Q(is_priced=False) & ~Q(outcome=Outcome.CACHED)),
    **{  # an answer out of the cache took nothing
        name: Coalesce(Sum(F(name), filter=~Q(outcome=Outcome.CACHED)), 0)
        for name in ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_micro_usd")
    },
}
