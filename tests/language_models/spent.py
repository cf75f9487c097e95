"""Providers, models, budgets and usage as rows, for pages that show them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django_scopes import scope

from apps.accounts.models import Organization
from apps.common.clock import now
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.services import secrets
from apps.observability.models import Budget, BudgetAccount, Usage

KEY = "sk-test-0123456789abcdef"
NAME = "smart"  # of one of each kind
LONG = "a-name-that-is-much-longer-than-anybody-would-think-sensible-" * 2


def fill(organization: Organization, run: UUID | None = None) -> None:
    """A provider, models, budgets in every state, and calls of some days."""
    with scope(organization=organization):
        _models(organization)
        _budgets(organization)
        for number in range(40):
            call(
                organization,
                cost=number * 1234,
                ago=number * 3600,
                model=(NAME, LONG[:90], "quick")[number % 3],
                agent=("writer", "", "critic")[number % 3],
                workflow=("market-brief", "")[number % 2],
                caller="user:alice",
                run_id=run,
                outcome=("answered", "failed", "lost", "cached")[number % 4],
                is_priced=number % 5 != 0,
                error="rate_limited" if number % 4 == 1 else "",
            )


def call(organization: Organization, *, cost: int = 0, ago: float = 0.0, **fields: Any) -> Usage:
    """A call of so many seconds ago."""
    known = {"model": NAME, "outcome": "answered", "input_tokens": 10, "output_tokens": 5, "expires_at": now()}
    moment = now() - timedelta(seconds=ago)
    with scope(organization=organization):
        return Usage.objects.create(organization=organization, cost_micro_usd=cost, created_at=moment, **known | fields)


def _models(organization: Organization) -> None:
    for name, address in ((NAME, "http://127.0.0.1:11434/v1"), (LONG[:50], f"https://{LONG[:60]}.example.com/v1")):
        key = secrets.keep(organization.pk, KEY)
        kind = "openai_compatible"
        provider = ModelProvider.objects.create(
            organization=organization, name=name, kind=kind, base_url=address, key=key
        )
        for model in (name, f"quick-{name}"):
            ModelSetting.objects.create(
                organization=organization,
                name=model,
                provider=provider,
                model=LONG[:100],
                is_default=model == NAME,
                fallbacks=["demo/scripted"],
                input_price=Decimal("0.15") if model == NAME else None,
                output_price=Decimal("0.6") if model == NAME else None,
            )


def _budgets(organization: Organization) -> None:
    caps: tuple[dict[str, Any], ...] = (
        {"name": NAME, "scope": "organization", "period": "day"},
        {"name": "each run", "scope": "run"},
        {"name": LONG[:100], "scope": "agent", "subject": LONG[:90], "at_cap": "cheaper", "cheaper_model": NAME},
        {"name": "people", "scope": "user", "at_cap": "fail", "enabled": False},
    )
    for values in caps:
        budget = Budget.objects.create(organization=organization, limit_micro_usd=1_000_000, **values)
        subjects = {
            "run": "01993c5e-0000-7000-8000-00000000000a",
            "user": LONG[:150],
            "organization": str(organization.pk),
        }
        BudgetAccount.objects.create(
            organization=organization,
            budget=budget,
            subject=budget.subject or subjects[budget.scope],
            period_start=budget.period_start(now().date()),
            spent_micro_usd=1_100_000 if budget.scope == "user" else 400_000,
            reserved_micro_usd=200_000,
            extra_micro_usd=500_000 if budget.scope == "run" else 0,
        )
