"""Usage and budgets over the API: what was spent, what may be, and who is let in."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django_scopes import scope

from apps.accounts.models import Organization
from apps.common.clock import now
from apps.common.ids import uuid7
from apps.observability.models import Budget, Usage
from apps.observability.services import accounting
from apps.observability.services.accounting import Figures, Origin
from tests.fixtures import Actor, Guard

RUN = uuid7()


def call(organization: Organization, *, cost: int = 0, ago: float = 0.0, model: str = "smart", **fields: Any) -> Usage:
    """A call of so many seconds ago."""
    known = {"outcome": "answered", "input_tokens": 10, "output_tokens": 5, "expires_at": now()}
    moment = now() - timedelta(seconds=ago)
    with scope(organization=organization):
        return Usage.objects.create(
            organization=organization, model=model, cost_micro_usd=cost, created_at=moment, **known | fields
        )


def spend(organization: Organization, micro_usd: int, **origin: Any) -> None:
    """Spend so much of whatever budgets there are."""
    by = Origin(organization_id=organization.pk, **origin)
    going = accounting.begin_call(by, model="smart", most=lambda: micro_usd, seconds=60).id
    accounting.end_call(going, Figures(cost_micro_usd=micro_usd))


def add(actor: Actor, **fields: Any) -> Any:
    body = {"name": "cap", "scope": "organization", "limit_usd": "5.00", **fields}
    return actor.client.post("/v1/budgets", body, format="json")


def faults(answer: Any) -> list[tuple[str, str]]:
    return [(one["pointer"], one["code"]) for one in answer.json()["errors"]]


# ---- usage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("model", ["smart", "quick"]),
        ("agent", ["writer", ""]),
        ("workflow", ["brief", ""]),
        ("caller", ["user:ana", ""]),
        ("run", [str(RUN), ""]),
    ],
)
def test_sums_by_anything_have_the_dearest_first(alice: Actor, group: str, names: list[str]) -> None:
    whose: dict[str, Any] = {"agent": "writer", "workflow": "brief", "caller": "user:ana", "run_id": RUN}
    call(alice.organization, cost=1_500_000, **whose)
    call(alice.organization, cost=250, **whose)
    call(alice.organization, cost=100, model="quick")

    answer = alice.client.get(f"/v1/usage?group_by={group}").json()

    assert [one["group"] for one in answer["items"]] == names
    first, total = answer["items"][0], answer["total"]
    assert (first["calls"], first["cost_usd"], first["cost_micro_usd"]) == (2, "1.50025", 1_500_250)
    assert (total["calls"], total["input_tokens"], total["cost_micro_usd"]) == (3, 30, 1_500_350)


def test_days_are_those_of_utc(alice: Actor) -> None:
    call(alice.organization, cost=1)
    call(alice.organization, cost=2, ago=2 * 86_400)

    groups = [one["group"] for one in alice.client.get("/v1/usage?group_by=day").json()["items"]]

    assert groups == [f"{now() - timedelta(days=2):%Y-%m-%d}", f"{now():%Y-%m-%d}"]


def test_what_the_cache_answered_took_no_tokens_and_what_nobody_can_price_is_counted(alice: Actor) -> None:
    call(alice.organization, outcome="cached")
    call(alice.organization, is_priced=False)
    call(alice.organization, outcome="lost", cost=7, input_tokens=0, output_tokens=0)

    total = alice.client.get("/v1/usage").json()["total"]

    counted = ("calls", "cached", "unpriced", "lost", "failed", "input_tokens", "cost_micro_usd")
    assert [total[name] for name in counted] == [3, 1, 1, 1, 0, 10, 7]


def test_time_and_filters_leave_out_the_rest(alice: Actor) -> None:
    call(alice.organization, ago=40 * 86_400)
    call(alice.organization, ago=3600, agent="writer")
    call(alice.organization, model="quick")
    hour = f"{now() - timedelta(seconds=1800):%Y-%m-%dT%H:%M:%SZ}"

    def calls(query: str) -> int:
        return int(alice.client.get(f"/v1/usage?{query}").json()["total"]["calls"])

    assert [calls(query) for query in ("", f"since={hour}", f"until={hour}", "agent=writer", "model=nobody")] == [
        2, 1, 1, 1, 0,
    ]  # fmt: skip
    assert calls("since=2020-01-01T00:00:00Z") == 3


def test_more_groups_than_wanted_are_said_to_be_there(alice: Actor) -> None:
    for name in ("a", "b", "c"):
        call(alice.organization, model=name)

    answer = alice.client.get("/v1/usage?limit=2").json()

    assert (len(answer["items"]), answer["is_truncated"], answer["total"]["calls"]) == (2, True, 3)


def test_calls_are_listed_page_by_page(alice: Actor) -> None:
    for number in range(3):
        call(alice.organization, cost=number, run_id=RUN, ago=10 - number)
    call(alice.organization)

    first = alice.client.get(f"/v1/usage/calls?run={RUN}&limit=2").json()
    second = alice.client.get(f"/v1/usage/calls?run={RUN}&limit=2&cursor={first['next_cursor']}").json()

    assert [one["cost_micro_usd"] for one in (*first["items"], *second["items"])] == [2, 1, 0]
    assert first["items"][0]["run_url"] == f"/v1/runs/{RUN}"
    assert second["next_cursor"] is None


def test_usage_is_for_members_only(alice: Actor, bob: Actor, charlie: Actor) -> None:
    call(alice.organization, cost=5)

    assert bob.client.get("/v1/usage").json()["total"]["cost_micro_usd"] == 5
    assert charlie.client.get("/v1/usage").json()["total"]["calls"] == 0
    assert charlie.client.get("/v1/usage/calls").json()["items"] == []


# ---- budgets ----------------------------------------------------------------------------------------


def test_a_budget_says_what_is_spent_and_left_now(alice: Actor) -> None:
    made = add(alice, period="day").json()
    spend(alice.organization, 1_250_000)

    shown = alice.client.get("/v1/budgets/cap").json()

    assert (made["limit_usd"], made["limit_micro_usd"], made["at_cap"]) == ("5.00", 5_000_000, "ask")
    assert (shown["now"]["spent_usd"], shown["now"]["left_usd"], shown["now"]["accounts"]) == ("1.25", "3.75", 1)
    assert shown["now"]["begins_anew_at"].endswith("T00:00:00Z")


def test_where_each_has_its_own_the_least_that_one_has_left_is_told(alice: Actor) -> None:
    add(alice, scope="agent")
    spend(alice.organization, 1_000_000, agent="writer")
    spend(alice.organization, 4_000_000, agent="critic")

    now_ = alice.client.get("/v1/budgets").json()["items"][0]["now"]
    accounts = alice.client.get("/v1/budgets/cap/accounts").json()["items"]

    assert (now_["accounts"], now_["spent_usd"], now_["left_usd"]) == (2, "5.00", "1.00")
    assert {one["subject"]: one["left_usd"] for one in accounts} == {"writer": "4.00", "critic": "1.00"}


@pytest.mark.parametrize(
    ("fields", "status", "pointer"),
    [
        ({"limit_usd": "-1"}, 400, "/limit_usd"),
        ({"limit_usd": "0.0000001"}, 400, "/limit_usd"),
        ({"limit_usd": "NaN"}, 400, "/limit_usd"),
        ({"scope": "planet"}, 400, "/scope"),
        ({"subject": "x"}, 422, "/subject"),
        ({"scope": "run", "subject": "x"}, 422, "/subject"),
        ({"at_cap": "cheaper"}, 422, "/cheaper_model"),
        ({"at_cap": "cheaper", "cheaper_model": "nobody"}, 422, "/cheaper_model"),
        ({"cheaper_model": "demo/scripted"}, 422, "/cheaper_model"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(alice: Actor, fields: Any, status: int, pointer: str) -> None:
    answer = add(alice, **fields)

    assert (answer.status_code, [place for place, _ in faults(answer)]) == (status, [pointer])


def test_a_budget_is_changed_switched_off_and_deleted(alice: Actor) -> None:
    add(alice)
    spend(alice.organization, 4_000_000)
    seen = alice.client.get("/v1/budgets/cap")["ETag"]
    change = {"limit_usd": "3.5", "at_cap": "cheaper", "cheaper_model": "demo/scripted", "enabled": False}

    changed = alice.client.patch("/v1/budgets/cap", change, format="json").json()

    assert (changed["limit_usd"], changed["now"]["left_usd"], changed["enabled"]) == ("3.50", "-0.50", False)
    assert alice.client.delete("/v1/budgets/cap", headers={"If-Match": seen}).status_code == 412
    assert alice.client.delete("/v1/budgets/cap").status_code == 204
    assert alice.client.get("/v1/budgets/cap").status_code == 404


def test_two_budgets_have_two_names(alice: Actor) -> None:
    assert add(alice).status_code == 201
    assert (add(alice).status_code, add(alice).json()["code"]) == (409, "name_taken")


def test_a_subject_may_be_allowed_more(alice: Actor) -> None:
    add(alice, scope="user", limit_usd="1")
    spend(alice.organization, 1_000_000, caller="user:ana")
    more = {"amount_usd": "0.5", "subject": "ana"}

    refused = alice.client.post("/v1/budgets/cap/allow", {"amount_usd": "0.5"}, format="json")
    allowed = [
        alice.client.post("/v1/budgets/cap/allow", more, format="json", headers={"Idempotency-Key": "more"}).json()
        for _ in range(2)
    ]

    assert (refused.status_code, faults(refused)) == (422, [("/subject", "invalid")])
    assert [(one["subject"], one["extra_usd"], one["left_usd"]) for one in allowed] == [
        ("user:ana", "0.50", "0.50")
    ] * 2
    spend(alice.organization, 500_000, caller="user:ana")


def test_who_nobody_has_seen_may_be_allowed_more_before_they_come(alice: Actor) -> None:
    add(alice, limit_usd="0")

    answer = alice.client.post("/v1/budgets/cap/allow", {"amount_usd": "2"}, format="json")

    assert answer.json()["left_usd"] == "2.00"
    spend(alice.organization, 2_000_000)


def test_who_may_see_and_change_budgets(alice: Actor, guard: Guard) -> None:
    add(alice)

    guard("get", "/v1/budgets/cap")
    guard("get", "/v1/budgets/cap/accounts")
    guard("patch", "/v1/budgets/cap", {"enabled": False}, needs="manage")
    guard("post", "/v1/budgets/cap/allow", {"amount_usd": "1"}, needs="manage")
    guard("delete", "/v1/budgets/cap", needs="manage")


def test_a_budget_of_a_run_takes_its_full_id(alice: Actor) -> None:
    shown = add(alice, scope="run", subject=RUN.hex).json()

    assert UUID(shown["subject"]) == RUN
    with scope(organization=alice.organization):
        assert Budget.objects.get().subject == str(RUN)
