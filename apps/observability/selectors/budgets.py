"""Budgets, and how much of them is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import BigIntegerField, Count, ExpressionWrapper, F, Max, Q, QuerySet, Sum

from apps.common.clock import now
from apps.common.errors import NotFound
from apps.common.selectors import find_by_id
from apps.observability.models import Budget, BudgetAccount


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands in its present period, in millionths of a dollar.

    `accounts` counts the subjects that have spent something of it; `left` is that of the one which has the least.
    """

    left: int
    accounts: int = 0
    spent: int = 0
    reserved: int = 0


def budgets() -> QuerySet[Budget]:
    """Give the budgets."""
    return Budget.objects.all()


def find_budget(ref: str) -> Budget:
    """Give the budget of this name or id; raises NotFound."""
    if (named := budgets().filter(name=ref).first()) is not None:
        return named
    try:
        return find_by_id(budgets(), ref)
    except NotFound:
        raise NotFound(f"There is no budget '{ref[:80]}'.", code="budget_not_found") from None


def today() -> date:
    """Give the day in UTC, which is what periods go by."""
    return now().astimezone(UTC).date()


def accounts(budget: Budget) -> QuerySet[BudgetAccount]:
    """Give the accounts of a budget in its present period."""
    return BudgetAccount.objects.filter(budget=budget, period_start=budget.period_start(today()))


def fullest(budget: Budget, most: int) -> list[BudgetAccount]:
    """Give the accounts of the present period that have the least left."""
    return list(accounts(budget).annotate(used=_USED).order_by("-used", "subject")[:most])


def standings(found: Sequence[Budget]) -> dict[UUID, Standing]:
    """Give how each of these budgets stands, in one query."""
    if not found:
        return {}
    day, periods = today(), Q()
    for budget in found:
        periods |= Q(budget=budget, period_start=budget.period_start(day))
    rows = (
        BudgetAccount.objects.filter(periods)
        .order_by()
        .values("budget_id")
        .annotate(
            accounts=Count("pk"), spent=Sum("spent_micro_usd"), reserved=Sum("reserved_micro_usd"), used=Max(_USED)
        )
    )
    by_budget = {row["budget_id"]: row for row in rows}
    return {
        budget.pk: Standing(
            budget.limit_micro_usd - row["used"], row["accounts"], int(row["spent"]), int(row["reserved"])
        )
        if (row := by_budget.get(budget.pk))
        else Standing(budget.limit_micro_usd)
        for budget in found
    }


def begins_anew(budget: Budget) -> datetime | None:
    """Give when the budget's next period begins; None where it never does."""
    start = budget.period_start(today())
    if budget.period == Budget.Period.TOTAL:
        return None
    if budget.period == Budget.Period.MONTH:
        following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    else:
        following = date.fromordinal(start.toordinal() + 1)
    return datetime(following.year, following.month, following.day, tzinfo=UTC)


_USED = ExpressionWrapper(
    F("spent_micro_usd") + F("reserved_micro_usd") - F("extra_micro_usd"), output_field=BigIntegerField()
)
