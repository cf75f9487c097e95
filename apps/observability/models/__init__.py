"""What was seen of runs and what it cost: plain ids and no foreign keys, so that everything may write here."""

from apps.observability.models.budgets import Budget, BudgetAccount
from apps.observability.models.logs import LogLine
from apps.observability.models.usage import Usage

__all__ = ["Budget", "BudgetAccount", "LogLine", "Usage"]
