"""Making budgets, changing them, and letting one subject spend more."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.accounts.models import Organization
from apps.common.errors import Conflict, ErrorItem, Invalid
from apps.observability.models import Budget, BudgetAccount
from apps.observability.selectors import budgets as standing
from apps.observability.services import accounting

Scope, AtCap = Budget.Scope, Budget.AtCap

_knows_model: list[Callable[[str], bool]] = []


def register_models(knows: Callable[[str], bool]) -> None:
    """Tell budgets how to find out whether the organization in scope has a model of a name."""
    _knows_model[:] = [knows]


def add_budget(organization: Organization, **values: Any) -> Budget:
    """Add a budget; what has been spent before it was there does not count.

    Raises Invalid with the place of what cannot be, and Conflict when the name is taken.
    """
    return _saved(_checked(Budget(organization=organization, **values)))


@transaction.atomic
def change_budget(budget: Budget, changes: Mapping[str, Any]) -> Budget:
    """Change parts of a budget; what has been spent of it stays. Raises as `add_budget` does."""
    budget = Budget.objects.select_for_update().get(pk=budget.pk)
    for name, value in changes.items():
        setattr(budget, name, value)
    return _saved(_checked(budget))


def delete_budget(budget: Budget) -> None:
    """Delete a budget with its accounts; calls that are under way go on."""
    budget.delete()


@transaction.atomic
def allow_more(budget: Budget, micro_usd: int, subject: str = "") -> BudgetAccount:
    """Let a subject of the budget spend this much more in the present period.

    The budget's own subject is meant where it has one. Raises Invalid where none is named and each has its own.
    """
    account, _ = BudgetAccount.objects.get_or_create(
        organization_id=budget.organization_id,
        budget=budget,
        subject=_subject_meant(budget, subject),
        period_start=budget.period_start(standing.today()),
    )
    accounting.allow_more(account.pk, micro_usd)
    account.refresh_from_db()
    return account


def _subject_meant(budget: Budget, subject: str) -> str:
    if budget.scope == Scope.ORGANIZATION:
        return str(budget.organization_id)
    if budget.subject or subject:
        return _named(budget.scope, budget.subject or subject)
    raise _invalid("subject", f"Name the {budget.scope} that may spend more: each has its own account.")


def _checked(budget: Budget) -> Budget:
    if budget.scope == Scope.ORGANIZATION and budget.subject:
        raise _invalid("subject", "A budget of the whole organization has no subject.")
    if budget.subject:
        budget.subject = _named(budget.scope, budget.subject)
    if budget.at_cap != AtCap.CHEAPER:
        if budget.cheaper_model:
            raise _invalid("cheaper_model", f"It is only used where 'at_cap' is '{AtCap.CHEAPER}'.")
        return budget
    if not budget.cheaper_model:
        raise _invalid("cheaper_model", "Name the model that is asked at the cap.")
    if not all(knows(budget.cheaper_model) for knows in _knows_model):
        raise _invalid("cheaper_model", f"There is no model '{budget.cheaper_model}'.", code="unknown_model")
    return budget


def _named(scope: str, subject: str) -> str:
    """The subject as calls name it: the full id of a run, and a person as `user:<name>`."""
    if scope == Scope.RUN:
        try:
            return str(UUID(subject))
        except ValueError:
            raise _invalid("subject", "Name the run by its full id.") from None
    return f"user:{subject}" if scope == Scope.USER and ":" not in subject else subject


def _saved(budget: Budget) -> Budget:
    try:
        with transaction.atomic():
            budget.save()
    except IntegrityError:
        raise Conflict(f"There is a budget '{budget.name}' already.", code="name_taken") from None
    return budget


def _invalid(field: str, message: str, code: str = "invalid") -> Invalid:
    return Invalid(message, code="invalid_budget", errors=[ErrorItem(f"/{field}", code, message)])
