from typing import Any

from apps.common.commands import OrchestraCommand, subcommand
from apps.common.money import usd
from apps.observability.models import Budget
from apps.observability.selectors import budgets as selectors
from apps.observability.selectors.budgets import Standing
from apps.observability.serializers.budgets import budget_json


class Command(OrchestraCommand):
    help = "Shows how much may be spent on language models, and what is left."

    @subcommand()
    def list_(self) -> None:
        """List the budgets with what is spent, put aside and left in the present period."""
        found = list(selectors.budgets())
        standings = selectors.standings(found)
        columns = ["name", "of", "period", "limit", "spent", "reserved", "left", "at_cap"]
        self.table((self._row(one, standings[one.pk]) for one in found), columns)
        if not found:
            self.note("There is no budget: models may be asked without end.")

    def _row(self, budget: Budget, standing: Standing) -> dict[str, Any]:
        if self.json:
            return budget_json(budget, standing)
        whose = budget.subject or ("all" if budget.scope == Budget.Scope.ORGANIZATION else "each")
        return {
            "name": budget.name if budget.enabled else f"{budget.name} (off)",
            "of": f"{budget.scope} {whose}",
            "period": budget.period,
            "limit": f"${usd(budget.limit_micro_usd)}",
            "spent": f"${usd(standing.spent)}",
            "reserved": f"${usd(standing.reserved)}",
            "left": f"${usd(standing.left)}",
            "at_cap": budget.cheaper_model or budget.at_cap,
        }
