"""Budgets: a section of the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.accounts.views.settings.sections import show
from apps.common.errors import Conflict, Invalid
from apps.common.form_errors import put_errors
from apps.common.money import decimal_of, micro_of, usd
from apps.observability import forms
from apps.observability.models import Budget, BudgetAccount
from apps.observability.selectors import budgets as selectors
from apps.observability.selectors.budgets import Standing
from apps.observability.services import budgets as services

SHOWN_ACCOUNTS = 10
WHOSE = {
    "organization": "the whole organization",
    "workflow": "workflow",
    "run": "run",
    "agent": "agent",
    "user": "person or key",
}
WHEN = {"day": "a day", "month": "a month", "total": "in all"}
AT_CAP = {
    "ask": "When it is used up, the run pauses until somebody allows more.",
    "fail": "When it is used up, the call fails.",
}


@dataclass(frozen=True, slots=True)
class Meter:
    """A bar: the parts of it in percent, and what it says."""

    spent: float
    reserved: float
    is_full: bool
    words: str


@dataclass(frozen=True, slots=True)
class Account:
    """What one subject has spent."""

    subject: str
    meter: Meter
    spent: int
    reserved: int
    extra: int
    left: int


@dataclass(frozen=True, slots=True)
class Row:
    """A budget as the page shows it."""

    budget: Budget
    whose: str
    when: str
    at_cap: str
    standing: Standing
    meter: Meter | None  # where one account is all there is
    has_own: bool  # each subject has its own account
    accounts: Sequence[Account]
    more: int  # accounts that are not shown
    anew: datetime | None


@require_safe
@page()
def budgets(request: PageRequest) -> HttpResponse:
    """List the budgets with what is spent, put aside and left."""
    return _list(request)


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.MANAGE)
def new_budget(request: PageRequest) -> HttpResponse:
    """Add a budget."""
    if request.method != "POST":
        return _form(request, forms.BudgetForm(), None)
    form = forms.BudgetForm(request.POST)
    if form.is_valid():
        try:
            added = services.add_budget(request.access.organization, **form.values())
            return _done(request, f"{added.name} counts from now on.")
        except (Invalid, Conflict) as refused:
            put_errors(form, refused)
    return _form(request, form, None, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.MANAGE)
def edit_budget(request: PageRequest, ref: str) -> HttpResponse:
    """Change a budget."""
    budget = selectors.find_budget(ref)
    if request.method != "POST":
        names = ("name", "at_cap", "cheaper_model", "enabled")
        initial: dict[str, Any] = {name: getattr(budget, name) for name in names}
        limit = usd(budget.limit_micro_usd)
        return _form(request, forms.BudgetForm(is_new=False, initial=initial | {"limit": limit}), budget)
    form = forms.BudgetForm(request.POST, is_new=False)
    if form.is_valid():
        try:
            changed = services.change_budget(budget, form.values())
            return _done(request, f"{changed.name} was changed.")
        except (Invalid, Conflict) as refused:
            put_errors(form, refused)
    return _form(request, form, budget, status=422)


@require_POST
@page(Capability.MANAGE)
def remove_budget(request: PageRequest, ref: str) -> HttpResponse:
    """Delete a budget."""
    budget = selectors.find_budget(ref)
    services.delete_budget(budget)
    return _done(request, f"{budget.name} was removed: nothing counts against it any more.")


@require_POST
@page(Capability.MANAGE)
def allow(request: PageRequest, ref: str) -> HttpResponse:
    """Let one subject spend more in the present period."""
    budget = selectors.find_budget(ref)
    form = forms.AllowForm(request.POST)
    if not form.is_valid():
        wrong = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return _list(request, {"refused": f"{budget.name}: {wrong}"}, status=422)
    amount = micro_of(form.cleaned_data["amount"])
    try:
        services.allow_more(budget, amount, form.cleaned_data["subject"])
    except Invalid as refused:
        return _list(request, {"refused": refused.detail}, status=422)
    return _done(request, f"${usd(amount)} more of {budget.name}. A run that waits for it goes on when it is resumed.")


def _list(request: PageRequest, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    found = list(selectors.budgets())
    standings = selectors.standings(found)
    rows = [_row(one, standings[one.pk]) for one in found]
    return show(request, "budgets", {"budgets": rows, **(context or {})}, status)


def _row(budget: Budget, standing: Standing) -> Row:
    has_own = budget.scope != Budget.Scope.ORGANIZATION and not budget.subject
    accounts = selectors.fullest(budget, SHOWN_ACCOUNTS)
    whole = accounts[0] if accounts else BudgetAccount(budget=budget)
    whose = WHOSE[budget.scope] if budget.scope == Budget.Scope.ORGANIZATION else f"each {WHOSE[budget.scope]}"
    return Row(
        budget=budget,
        whose=f"{WHOSE[budget.scope]} {budget.subject}" if budget.subject else whose,
        when=WHEN[budget.period],
        at_cap=AT_CAP.get(budget.at_cap, f"When it is used up, {budget.cheaper_model} is asked, if that fits."),
        standing=standing,
        meter=None if has_own else _meter(budget, whole),
        has_own=has_own,
        accounts=[_account(budget, one) for one in accounts] if has_own else [],
        more=standing.accounts - len(accounts) if has_own else 0,
        anew=selectors.begins_anew(budget),
    )


def _account(budget: Budget, account: BudgetAccount) -> Account:
    allowed = budget.limit_micro_usd + account.extra_micro_usd
    spent, reserved = account.spent_micro_usd, account.reserved_micro_usd
    left = allowed - spent - reserved
    return Account(account.subject, _meter(budget, account), spent, reserved, account.extra_micro_usd, left)


def _meter(budget: Budget, account: BudgetAccount) -> Meter:
    allowed = budget.limit_micro_usd + account.extra_micro_usd
    spent, reserved = account.spent_micro_usd, account.reserved_micro_usd
    shown = min(100.0, spent / allowed * 100) if allowed else 100.0
    aside = min(100 - shown, reserved / allowed * 100) if allowed else 0.0
    percent = f"{decimal_of(spent) / decimal_of(allowed):.0%}" if allowed else "100%"
    is_full = spent + reserved >= allowed
    return Meter(round(shown, 2), round(aside, 2), is_full, f"{percent} of ${usd(allowed)} spent")


def _form(request: PageRequest, form: forms.BudgetForm, budget: Budget | None, status: int = 200) -> HttpResponse:
    return render(request, "observability/budget_form.html", {"form": form, "budget": budget}, status=status)


def _done(request: PageRequest, said: str) -> HttpResponse:
    messages.success(request, said)
    return HttpResponseRedirect(reverse("settings_budgets"))
