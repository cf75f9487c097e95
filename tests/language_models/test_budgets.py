"""Caps in money: nothing is ever spent past one, whoever asks at the same time and whatever dies."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db.models import F
from django_scopes import scope, scopes_disabled

from apps.accounts.models import Organization
from apps.agents.context import LocalContext
from apps.agents.runtime import run_agent
from apps.common.database import release_connection
from apps.common.errors import Fatal, Retryable
from apps.common.ids import uuid7
from apps.observability.models import Budget, BudgetAccount, Usage
from apps.observability.services import accounting
from apps.observability.services.accounting import BudgetReached, Figures, Origin
from apps.workflows.store.database import MANY_TRIES, patiently
from tests.language_models.chat_server import Answer, ChatServer
from tests.language_models.conftest import Desk

DOLLAR = 1_000_000
PRICES = {"input_price": Decimal(1), "output_price": Decimal(10)}
pytestmark = pytest.mark.django_db(transaction=True)


def budget(organization: Organization, **fields: Any) -> Budget:
    known: dict[str, Any] = {"name": "cap", "scope": "organization", "limit_micro_usd": DOLLAR}
    with scope(organization=organization):
        return Budget.objects.create(organization=organization, **known | fields)


def spent(cap: Budget) -> list[tuple[int, int]]:
    with scopes_disabled():
        accounts = BudgetAccount.objects.filter(budget=cap).order_by("subject")
        return [(account.spent_micro_usd, account.reserved_micro_usd) for account in accounts]


def begin(origin: Origin, most: int) -> Any:
    return accounting.begin_call(origin, model="m", most=lambda: most, seconds=60).id


def test_fifty_at_a_time_never_spend_a_millionth_more_than_the_cap(organization: Organization) -> None:
    cap = budget(organization)
    each_run = budget(organization, name="each run", scope="run", limit_micro_usd=DOLLAR // 10)
    runs = [uuid7() for _ in range(12)]
    refused: list[int] = []

    def spend(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(6):
                most = chance.randint(1, 30_000)
                by = Origin(organization_id=organization.pk, run_id=chance.choice(runs))
                try:
                    call = patiently(partial(begin, by, most), tries=MANY_TRIES)
                except BudgetReached:
                    refused.append(most)
                    continue
                assert sum(map(sum, patiently(partial(spent, cap), tries=MANY_TRIES))) <= DOLLAR
                ending = chance.random()
                if ending < 0.8:
                    figures = Figures(cost_micro_usd=chance.randint(0, most))
                    patiently(partial(accounting.end_call, call, figures), tries=MANY_TRIES)
                elif ending < 0.9:
                    patiently(partial(accounting.lose_call, call, error="cut"), tries=MANY_TRIES)
                else:
                    patiently(partial(accounting.fail_call, call, error="refused"), tries=MANY_TRIES)
        finally:
            release_connection()

    with ThreadPoolExecutor(50) as workers:
        list(workers.map(spend, range(50)))

    ((total, open_now),) = spent(cap)
    with scopes_disabled():
        told = sum(Usage.objects.values_list("cost_micro_usd", flat=True))
    assert (open_now, total) == (0, told)
    assert DOLLAR * 0.9 < total <= DOLLAR or not refused
    assert all(used <= DOLLAR // 10 and put_aside == 0 for used, put_aside in spent(each_run))


def test_what_a_dead_process_had_put_aside_counts_as_spent_when_its_time_is_over(organization: Organization) -> None:
    cap = budget(organization)
    call = begin(Origin(organization_id=organization.pk), 300_000)
    before = accounting.expire_calls()
    with scopes_disabled():
        Usage.objects.update(expires_at=F("expires_at") - timedelta(hours=1))

    assert (before, accounting.expire_calls(), spent(cap)) == (0, 1, [(300_000, 0)])
    accounting.end_call(call, Figures(cost_micro_usd=1))  # it was only slow, and comes too late
    assert (accounting.expire_calls(), spent(cap)) == (0, [(300_000, 0)])


def test_each_subject_has_a_cap_of_its_own_and_a_named_one_is_for_that_alone(organization: Organization) -> None:
    each = budget(organization, name="each agent", scope="agent", limit_micro_usd=100)
    budget(organization, name="writer", scope="agent", subject="writer", limit_micro_usd=50)

    def asked(agent: str, most: int) -> None:
        begin(Origin(organization_id=organization.pk, agent=agent), most)

    asked("critic", 100)
    asked("coder", 100)
    asked("", 10_000)  # no agent
    with pytest.raises(BudgetReached, match="'writer'"):
        asked("writer", 51)
    with pytest.raises(BudgetReached, match="'each agent'"):
        asked("critic", 1)
    assert spent(each) == [(0, 100), (0, 100), (0, 0)]  # the writer's has nothing of the call that was refused


def test_a_daily_cap_begins_anew(organization: Organization) -> None:
    cap = budget(organization, period="day", limit_micro_usd=100)
    begin(Origin(organization_id=organization.pk), 100)
    with pytest.raises(BudgetReached):
        begin(Origin(organization_id=organization.pk), 1)
    with scopes_disabled():
        BudgetAccount.objects.update(period_start=F("period_start") - timedelta(days=1))

    begin(Origin(organization_id=organization.pk), 100)

    assert len(spent(cap)) == 2


def test_another_organization_has_nothing_to_do_with_it(
    organization: Organization, other_organization: Organization
) -> None:
    budget(organization, limit_micro_usd=1)

    begin(Origin(organization_id=other_organization.pk), DOLLAR)


# ---- at the cap -----------------------------------------------------------------------------------------------------


def test_a_call_that_might_cost_too_much_is_not_made(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server), **PRICES)
    budget(desk.organization, at_cap="fail", limit_micro_usd=100)

    with pytest.raises(BudgetReached, match=r"'cap' of \$0.0001 has \$0.0001 left, and this call may cost \$0.0"):
        desk.ask()

    assert server.asked == []


def test_an_answer_under_a_cap_is_bounded_so_that_its_cost_is(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server), **PRICES)
    cap = budget(desk.organization)

    desk.ask()
    desk.ask(options={"max_tokens": 5})

    assert [asked["max_tokens"] for asked in server.asked] == [4096, 5]
    assert spent(cap) == [(2 * 81, 0)]  # 11 tokens in, 7 out


def test_without_a_cap_nothing_is_bounded(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server), **PRICES)

    desk.ask()

    assert "max_tokens" not in server.asked[0]


def test_a_cheaper_model_is_asked_where_the_budget_names_one(desk: Desk, server: ChatServer) -> None:
    provider = desk.provider(server)
    desk.setting(provider, "dear", model="dear", **PRICES)
    desk.setting(provider, "cheap", model="cheap", input_price=Decimal("0.001"), output_price=Decimal("0.001"))
    budget(desk.organization, at_cap="cheaper", cheaper_model="cheap", limit_micro_usd=5_000)

    record = desk.record("dear")

    assert record["model"] == "cheap"
    assert "has $0.005 left" in record["passed_over"][0]["reason"]


def test_under_a_cap_a_model_without_a_price_is_not_asked(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server))
    budget(desk.organization)

    with pytest.raises(BudgetReached, match="nobody knows what this call costs"):
        desk.ask()


def test_the_demo_costs_nothing_and_goes_on_under_any_cap(desk: Desk) -> None:
    budget(desk.organization, limit_micro_usd=0)

    assert desk.ask("demo/scripted", options={"seconds": 0}).is_demo


def test_a_call_that_breaks_off_counts_as_the_most_it_can_have_cost(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server), **PRICES)
    cap = budget(desk.organization)
    server.answer = lambda _: Answer("one two", cut_after=1)

    with pytest.raises(Retryable):
        desk.ask(options={"max_tokens": 100})

    ((used, put_aside),) = spent(cap)
    assert put_aside == 0
    assert used == sum(row.cost_micro_usd for row in desk.usage()) > 3 * 1000


def test_outside_of_a_run_a_used_up_budget_is_a_failure(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server), is_default=True, **PRICES)
    budget(desk.organization, limit_micro_usd=1)

    with pytest.raises(Fatal) as refused:
        run_agent("assistant", {"task": "Hi"}, LocalContext(desk.organization.pk))

    assert refused.value.code == "budget_reached"
