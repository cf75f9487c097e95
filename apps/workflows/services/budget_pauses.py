"""Runs that pause for want of money, and what lets them go on."""

from typing import Any
from uuid import UUID

from django.db import transaction

from apps.common.errors import Conflict
from apps.observability.models import BudgetAccount
from apps.observability.services import accounting
from apps.workflows import selectors
from apps.workflows.engine.states import RunStatus
from apps.workflows.models import Run
from apps.workflows.services.runs import resume_run


def reason_of(run: Run) -> str:
    """Say which budget has paused the run, and why; empty where none has."""
    told = _told(run)
    return str(told.get("reason") or "A budget is used up.") if told else ""


def account_waited_for(run: Run) -> UUID | None:
    """Give the account with too little left that the run is paused for; None where there is none (any more)."""
    account = _told(run).get("account")
    return UUID(account) if account and BudgetAccount.objects.filter(pk=account).exists() else None


def _told(run: Run) -> dict[str, Any]:
    """What was said when a budget paused the run."""
    told = selectors.pause_of(run) if run.status == RunStatus.PAUSED else {}
    return told if told.get("by") == "budget" else {}


@transaction.atomic
def allow_and_resume(run: Run, micro_usd: int, *, by: str) -> None:
    """Let the run's budget spend this much more on it, and go on with it: both or neither, and once.

    Raises Conflict where it is not paused for want of money (any more).
    """
    account = account_waited_for(run)
    # A second click waits here, and finds then that the run goes on already.
    locked = BudgetAccount.objects.select_for_update().filter(pk=account).first() if account else None
    if locked is None or account_waited_for(selectors.find_run(run.pk)) != account:
        raise Conflict("The run does not wait for money; resume it, if it is paused.", code="not_paused_by_budget")
    accounting.allow_more(locked.pk, micro_usd)
    resume_run(run.pk, by=by)
