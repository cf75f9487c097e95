"""Budgets: how much may be spent on language models."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.common.etags import digest, etag, require_match
from apps.common.json import JSON
from apps.common.money import micro_of
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, boolean, choice
from apps.common.serializers import checked
from apps.observability.models import Budget
from apps.observability.selectors import budgets as selectors
from apps.observability.selectors.budgets import Standing
from apps.observability.serializers.budgets import (
    AccountView,
    AllowSerializer,
    BudgetChangeSerializer,
    BudgetSerializer,
    BudgetView,
    account_json,
    budget_json,
    budget_values,
)
from apps.observability.services import budgets as services

SORTS = {"name": ("name", "id"), "created_at": ("created_at", "id")}
CAPABILITIES = {"GET": "view", "POST": "manage", "PATCH": "manage", "DELETE": "manage"}


class BudgetsView(OrganizationView):
    """All budgets."""

    capabilities = CAPABILITIES
    query = {
        "GET": {
            **LISTING,
            "scope": choice(*Budget.Scope.values, description="Only of this scope."),
            "enabled": boolean("Only those that count, or only those that do not."),
        }
    }

    @extend_schema(responses={200: page_of(BudgetView)}, operation_id="list_budgets")
    def get(self, request: Request) -> Response:
        """List the budgets by name, each with what is spent, put aside and left now."""
        found = selectors.budgets()
        for name in ("scope", "enabled"):
            if (wanted := self.query_values[name]) is not None:
                found = found.filter(**{name: wanted})
        standings = selectors.standings(list(found))  # an organization has a handful
        return paginate(
            found,
            request,
            sorts=SORTS,
            default="name",
            serialize=lambda one: budget_json(one, standings.get(one.pk) or Standing(one.limit_micro_usd)),
        )

    @extend_schema(request=BudgetSerializer, responses={201: BudgetView}, operation_id="add_budget")
    def post(self, request: Request) -> Response:
        """Add a budget; it counts from now on."""
        values = budget_values(checked(BudgetSerializer, request))
        return run_once(request, lambda: (201, _json(services.add_budget(self.access.organization, **values))))


class OneBudgetView(OrganizationView):
    """One budget, by name or id."""

    capabilities = CAPABILITIES

    @extend_schema(responses={200: BudgetView}, operation_id="get_budget")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a budget with what is spent, put aside and left now; its ETag guards a change."""
        budget = selectors.find_budget(ref)
        return Response(_json(budget), headers={"ETag": budget_etag(budget)})

    @extend_schema(request=BudgetChangeSerializer, responses={200: BudgetView}, operation_id="change_budget")
    def patch(self, request: Request, ref: str) -> Response:
        """Change parts of a budget; what has been spent of it stays."""
        budget = selectors.find_budget(ref)
        require_match(request, budget_etag(budget))
        changed = services.change_budget(budget, budget_values(checked(BudgetChangeSerializer, request)))
        return Response(_json(changed), headers={"ETag": budget_etag(changed)})

    @extend_schema(responses={204: None}, operation_id="delete_budget")
    def delete(self, request: Request, ref: str) -> Response:
        """Delete a budget; the calls that counted against it stay in the usage."""
        budget = selectors.find_budget(ref)
        require_match(request, budget_etag(budget))
        services.delete_budget(budget)
        return Response(status=204)


class AccountsView(OrganizationView):
    """What each subject has spent of a budget."""

    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(AccountView)}, operation_id="list_budget_accounts")
    def get(self, request: Request, ref: str) -> Response:
        """List the accounts of the present period, the newest first."""
        budget = selectors.find_budget(ref)
        return paginate(selectors.accounts(budget), request, serialize=lambda account: account_json(budget, account))


class AllowView(OrganizationView):
    """Letting one subject spend more."""

    capabilities = {"POST": "manage"}

    @extend_schema(request=AllowSerializer, responses={200: AccountView}, operation_id="allow_more")
    def post(self, request: Request, ref: str) -> Response:
        """Let one subject of a budget spend more in the present period; that resumes no run that has paused."""
        budget = selectors.find_budget(ref)
        wanted = checked(AllowSerializer, request)
        return run_once(request, lambda: self._allow(budget, wanted))

    def _allow(self, budget: Budget, wanted: dict[str, Any]) -> Answer:
        account = services.allow_more(budget, micro_of(wanted["amount_usd"]), wanted.get("subject", ""))
        return 200, account_json(budget, account)


def budget_etag(budget: Budget) -> str:
    """Give the ETag of what people have set; what is spent does not change it."""
    parts = (budget.name, budget.limit_micro_usd, budget.at_cap, budget.cheaper_model, budget.enabled)
    return etag(budget.pk.hex[-12:], digest(*parts))


def _json(budget: Budget) -> JSON:
    return budget_json(budget, selectors.standings([budget])[budget.pk])
