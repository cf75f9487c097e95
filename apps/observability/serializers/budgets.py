"""Budgets as the API shows and takes them."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from rest_framework import serializers

from apps.common.json import JSON
from apps.common.money import MOST_DOLLARS, PLACES, amounts, micro_of
from apps.common.serializers import StrictSerializer
from apps.observability.models import Budget, BudgetAccount
from apps.observability.selectors.budgets import Standing, begins_anew

SMALLEST = Decimal("0.000001")


class StandingView(BaseModel):
    """How a budget stands in its present period.

    `accounts` counts the subjects that have spent something of it; `left_usd` is that of the one which has the least.
    """

    begins_anew_at: datetime | None
    accounts: int
    spent_usd: str
    spent_micro_usd: int
    reserved_usd: str
    reserved_micro_usd: int
    left_usd: str
    left_micro_usd: int


class BudgetView(BaseModel):
    """A cap in money, and how it stands now."""

    id: UUID
    name: str
    scope: str
    subject: str | None
    period: str
    limit_usd: str
    limit_micro_usd: int
    at_cap: str
    cheaper_model: str | None
    enabled: bool
    created_at: datetime
    now: StandingView
    url: str


class AccountView(BaseModel):
    """What one subject has spent in one period, what is put aside for its calls under way, and what is left."""

    id: UUID
    subject: str
    period_start: date | None
    spent_usd: str
    spent_micro_usd: int
    reserved_usd: str
    reserved_micro_usd: int
    extra_usd: str
    extra_micro_usd: int
    left_usd: str
    left_micro_usd: int


def _dollars(**options: Any) -> serializers.DecimalField:
    digits = len(str(MOST_DOLLARS)) + PLACES
    return serializers.DecimalField(max_digits=digits, decimal_places=PLACES, max_value=MOST_DOLLARS, **options)


class BudgetChangeSerializer(StrictSerializer):
    """What of a budget is to be changed; what is not named stays."""

    name = serializers.CharField(required=False, max_length=100)
    limit_usd = _dollars(required=False, min_value=Decimal(0), help_text='Dollars, as a string: `"5.00"`.')
    at_cap = serializers.ChoiceField(
        required=False,
        choices=Budget.AtCap.values,
        help_text="What becomes of a call that does not fit: its run pauses and asks, another model is asked, or it "
        "fails.",
    )
    cheaper_model = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, max_length=200, help_text="Where `at_cap` is `cheaper`."
    )
    enabled = serializers.BooleanField(required=False)


class BudgetSerializer(BudgetChangeSerializer):
    """A new budget."""

    name = serializers.CharField(max_length=100)
    scope = serializers.ChoiceField(choices=Budget.Scope.values, help_text="Whose calls count together.")
    subject = serializers.CharField(
        required=False,
        allow_blank=True,
        allow_null=True,
        max_length=200,
        help_text="The workflow, run, agent or person that is meant; without it each of them has the budget for "
        "itself. A person is `user:<name>`.",
    )
    period = serializers.ChoiceField(
        choices=Budget.Period.values, default=Budget.Period.TOTAL.value, help_text="When it begins anew, in UTC."
    )
    limit_usd = _dollars(min_value=Decimal(0), help_text='Dollars, as a string: `"5.00"`.')


class AllowSerializer(StrictSerializer):
    """More money for one subject, in the present period."""

    amount_usd = _dollars(min_value=SMALLEST, help_text='Dollars, as a string: `"5.00"`.')
    subject = serializers.CharField(
        required=False, max_length=200, help_text="Needed where each subject has its own account."
    )


def budget_values(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a checked body says as the fields of a budget."""
    values = {name: "" if value is None else value for name, value in sent.items() if name != "limit_usd"}
    return values | ({"limit_micro_usd": micro_of(sent["limit_usd"])} if "limit_usd" in sent else {})


def budget_json(budget: Budget, standing: Standing) -> dict[str, JSON]:
    """Give a budget as the API shows it."""
    now = StandingView(
        begins_anew_at=begins_anew(budget),
        accounts=standing.accounts,
        **amounts(spent=standing.spent, reserved=standing.reserved, left=standing.left),
    )
    view = BudgetView(
        id=budget.pk,
        subject=budget.subject or None,
        cheaper_model=budget.cheaper_model or None,
        **{name: getattr(budget, name) for name in ("name", "scope", "period", "at_cap", "enabled", "created_at")},
        **amounts(limit=budget.limit_micro_usd),
        now=now,
        url=f"/v1/budgets/{budget.pk}",
    )
    return view.model_dump(mode="json")


def account_json(budget: Budget, account: BudgetAccount) -> dict[str, JSON]:
    """Give the account of a subject as the API shows it."""
    left = budget.limit_micro_usd + account.extra_micro_usd - account.spent_micro_usd - account.reserved_micro_usd
    view = AccountView(
        id=account.pk,
        subject=account.subject,
        period_start=None if budget.period == Budget.Period.TOTAL else account.period_start,
        **amounts(
            spent=account.spent_micro_usd,
            reserved=account.reserved_micro_usd,
            extra=account.extra_micro_usd,
            left=left,
        ),
    )
    return view.model_dump(mode="json")
