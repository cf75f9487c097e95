"""Money for calls of language models: put aside before a call, settled after it, never more than a budget allows.

1. `begin_call` locks the accounts of every budget that the call counts against, in the order of their ids, and puts
   the most that the call can cost aside in all of them; where one has not so much left, in none.
2. The call goes out.
3. `end_call` gives back what was put aside and takes what it did cost, once.

A process that dies between 1 and 3 leaves its money put aside. `expire_calls` counts it as spent when the call's time
is over: what nobody knows is counted as the worst, so that a cap holds whatever dies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django_scopes import scopes_disabled

from apps.common.database import first_row
from apps.common.ids import uuid7
from apps.observability.models import Budget, BudgetAccount, Usage

SPARE_SECONDS = 30  # after a call's own time-out, before it counts as lost
_HAS_BUDGETS = "select 1 from observability_budget where organization_id = %(organization)s and enabled limit 1"
BATCH = 100

Scope, Outcome = Budget.Scope, Usage.Outcome


@dataclass(frozen=True, kw_only=True)
class Origin:
    """On whose behalf a call is made."""

    organization_id: UUID
    run_id: UUID | None = None
    node_run_id: UUID | None = None
    node: str = ""
    attempt: int = 1
    workflow: str = ""
    agent: str = ""
    caller: str = ""

    def subject(self, scope: str) -> str:
        """Name what a budget of this scope counts together; empty where the call has none."""
        return {
            Scope.ORGANIZATION: str(self.organization_id),
            Scope.WORKFLOW: self.workflow,
            Scope.RUN: str(self.run_id or ""),
            Scope.AGENT: self.agent,
            Scope.USER: self.caller,
        }[Scope(scope)]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a call took: tokens, millionths of a dollar, milliseconds."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micro_usd: int = 0
    is_priced: bool = True
    first_token_ms: int | None = None
    total_ms: int | None = None


NOTHING = Figures()


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """A model that was to answer before another one: the code of why it did not, and how long it was tried."""

    model: str
    code: str
    ms: int


@dataclass(frozen=True)
class Shortage:
    """A budget in which there is not enough left for a call, in millionths of a dollar."""

    budget: Budget
    account: UUID
    left: int
    wanted: int | None  # None where nobody knows what the call may cost


class BudgetReached(Exception):
    """A call would have cost more than a budget has left; nothing was put aside."""

    code = "budget_reached"

    def __init__(self, shortage: Shortage) -> None:
        self.shortage = shortage
        budget, left = shortage.budget, dollars(max(shortage.left, 0))
        cost = (
            "nobody knows what this call costs (its price is set under Settings, Models)"
            if shortage.wanted is None
            else f"this call may cost {dollars(shortage.wanted)}"
        )
        super().__init__(
            f"The budget '{budget.name}' of {dollars(budget.limit_micro_usd)} has {left} left, and {cost}."
        )


@dataclass(frozen=True)
class Begun:
    """A call that may go out: its id, and whether a budget counts on it costing no more than was put aside."""

    id: UUID
    is_capped: bool


def begin_call(
    origin: Origin,
    *,
    model: str,
    most: Callable[[], int | None],
    seconds: float,
    passed_over: Sequence[PassedOver] = (),
) -> Begun:
    """Note that a call goes out, with the most it can cost put aside. Raises BudgetReached.

    `most` gives that in millionths of a dollar, or None where nobody knows: no budget then lets it out. It is asked
    only where there is a budget.
    """
    with transaction.atomic(), scopes_disabled():
        budgets = _budgets_of(origin)
        accounts = _locked_accounts(origin, budgets)
        wanted = most() if budgets else 0
        shortage = _shortage(budgets, accounts, wanted)
        if shortage is None:
            call = _new_call(origin, model, seconds, passed_over)
            _put_aside(call, accounts, wanted or 0)
            return Begun(call.pk, is_capped=bool(budgets))
    # After the commit: the account that a person may then allow more is there, also when this was its first call.
    raise BudgetReached(shortage)


def _new_call(origin: Origin, model: str, seconds: float, passed_over: Sequence[PassedOver], **known: Any) -> Usage:
    return Usage(
        pk=uuid7(),
        model=model[:200],
        expires_at=_expiry(seconds),
        passed_over=[vars(one) for one in passed_over],
        **vars(origin),
        **known,
    )


def _put_aside(call: Usage, accounts: Sequence[BudgetAccount], most: int) -> None:
    call.accounts, call.reserved_micro_usd = [account.pk for account in accounts], most
    if most:
        BudgetAccount.objects.filter(pk__in=call.accounts).update(reserved_micro_usd=F("reserved_micro_usd") + most)
    call.save(force_insert=True)


def end_call(call: UUID, figures: Figures, *, served_by: str = "") -> None:
    """Settle a call, once: a second time, and after it was counted as lost, nothing changes."""
    _end(call, lambda _: figures, outcome=Outcome.ANSWERED, served_by=served_by[:300])


def fail_call(call: UUID, took: Figures = NOTHING, *, error: str, served_by: str = "") -> None:
    """Settle a call that was refused, which costs nothing but its time."""
    _end(call, lambda _: took, outcome=Outcome.FAILED, error=error[:100], served_by=served_by[:300])


def lose_call(call: UUID, took: Figures = NOTHING, *, error: str, served_by: str = "") -> None:
    """Settle a call of which nobody knows what it cost but its time: all that was put aside for it."""
    _end(call, partial(_worst, took=took), outcome=Outcome.LOST, error=error[:100], served_by=served_by[:300])


def note_cached(
    origin: Origin, figures: Figures, *, model: str, served_by: str, passed_over: Sequence[PassedOver] = ()
) -> None:
    """Note a question that was answered out of the cache."""
    known = {"outcome": Outcome.CACHED, "served_by": served_by[:300], **vars(figures)}
    with scopes_disabled():
        _new_call(origin, model, 0, passed_over, **known).save(force_insert=True)


def expire_calls() -> int:
    """Count as lost, at the most they can have cost, the calls whose time is over; give how many there were."""
    with scopes_disabled():
        over = Usage.objects.filter(outcome=Outcome.UNDER_WAY, expires_at__lt=Now()).values_list("pk", flat=True)[
            :BATCH
        ]
    for call in over:
        _end(call, _worst, outcome=Outcome.LOST)
    return len(over)


def allow_more(account: UUID, micro_usd: int) -> None:
    """Let one subject of a budget spend this much more, in this period."""
    BudgetAccount.objects.filter(pk=account).update(extra_micro_usd=F("extra_micro_usd") + micro_usd)


def dollars(micro_usd: int) -> str:
    """Give an amount as people read it, with as many digits as it needs up to six."""
    text = f"{micro_usd / 1_000_000:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents.ljust(2, '0')}"


def _budgets_of(origin: Origin) -> Sequence[Budget]:
    """The budgets that the call counts against."""
    if first_row(_HAS_BUDGETS, organization=origin.organization_id) is None:  # asked for much quicker than rows are
        return ()
    enabled = Budget.objects.filter(organization_id=origin.organization_id, enabled=True)
    return [one for one in enabled if (subject := origin.subject(one.scope)) and _counts(one, subject)]


def _counts(budget: Budget, subject: str) -> bool:
    return budget.scope == Scope.ORGANIZATION or budget.subject in {"", subject}


def _locked_accounts(origin: Origin, budgets: Sequence[Budget]) -> Sequence[BudgetAccount]:
    """The accounts of the budgets, made where they are missing, and locked in the order of their ids."""
    if not budgets:
        return []
    today = _today()
    wanted = [
        BudgetAccount(
            organization_id=origin.organization_id,
            budget=budget,
            subject=origin.subject(budget.scope),
            period_start=budget.period_start(today),
        )
        for budget in budgets
    ]
    BudgetAccount.objects.bulk_create(wanted, ignore_conflicts=True)
    keys = {(account.budget_id, account.subject, account.period_start) for account in wanted}
    candidates = BudgetAccount.objects.select_for_update().filter(
        budget__in=budgets,
        subject__in={subject for _, subject, _ in keys},
        period_start__in={start for _, _, start in keys},
    )
    found = candidates.order_by("pk")
    return [account for account in found if (account.budget_id, account.subject, account.period_start) in keys]


def _shortage(budgets: Sequence[Budget], accounts: Sequence[BudgetAccount], most: int | None) -> Shortage | None:
    """The first account in which there is not enough left; None where all have enough."""
    by_id = {budget.pk: budget for budget in budgets}
    for account in accounts:
        budget = by_id[account.budget_id]
        allowed = budget.limit_micro_usd + account.extra_micro_usd
        left = allowed - account.spent_micro_usd - account.reserved_micro_usd
        if most is None or most > left:
            return Shortage(budget, account.pk, left, most)
    return None


def _worst(call: Usage, took: Figures = NOTHING) -> Figures:
    return replace(took, cost_micro_usd=call.reserved_micro_usd)


def _end(call: UUID, figures_of: Callable[[Usage], Figures], **ending: str) -> None:
    with transaction.atomic(), scopes_disabled():
        # Most calls count against no budget, and then one statement is enough: nothing was put aside.
        uncapped = Usage.objects.filter(pk=call, outcome=Outcome.UNDER_WAY, accounts=[])
        if uncapped.update(**ending, **vars(figures_of(Usage()))):
            return
        found = Usage.objects.select_for_update().filter(pk=call, outcome=Outcome.UNDER_WAY).first()
        if found is None:
            return
        figures = figures_of(found)
        for account in BudgetAccount.objects.select_for_update().filter(pk__in=found.accounts).order_by("pk"):
            account.reserved_micro_usd -= found.reserved_micro_usd
            account.spent_micro_usd += figures.cost_micro_usd
            account.save(update_fields=["reserved_micro_usd", "spent_micro_usd"])
        Usage.objects.filter(pk=call).update(reserved_micro_usd=0, **ending, **vars(figures))


def _expiry(seconds: float) -> CombinedExpression:
    return Now() + timedelta(seconds=seconds + SPARE_SECONDS)


def _today() -> date:
    return _now().date()


def _now() -> datetime:
    """The database's clock, which all processes share."""
    row = first_row("select clock_timestamp()")
    assert row is not None  # noqa: S101 - for the type checker: a select without a table has a row
    moment: datetime = row[0]
    return moment.astimezone(UTC)
