"""Usage as the API shows it."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from apps.common.json import JSON
from apps.common.money import amounts
from apps.observability.models import Usage
from apps.observability.selectors.usage import Sums


class SumsView(BaseModel):
    """What calls of language models came to; of `unpriced` ones nobody knows the cost, which is missing in the sum.

    What the cache answered is among the calls, and took no tokens.
    """

    calls: int
    failed: int
    lost: int
    cached: int
    under_way: int
    unpriced: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: str
    cost_micro_usd: int


class GroupView(SumsView):
    """The same for one model, agent, workflow, caller, day or run; empty for calls that have none."""

    group: str


class UsageView(BaseModel):
    """Sums of a time, altogether and by group, the most expensive first."""

    since: datetime
    until: datetime
    group_by: str
    total: SumsView
    items: list[GroupView]
    is_truncated: bool


class PassedOverView(BaseModel):
    """A model that was to answer before another one: the code of why it did not, and how long it was tried."""

    model: str
    code: str
    ms: int


class CallView(BaseModel):
    """One call of a language model."""

    id: UUID
    created_at: datetime
    model: str
    served_by: str | None
    outcome: str
    error: str | None
    run: UUID | None
    run_url: str | None
    node: str | None
    attempt: int
    workflow: str | None
    agent: str | None
    caller: str | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: str
    cost_micro_usd: int
    is_priced: bool
    reserved_usd: str
    reserved_micro_usd: int
    first_token_ms: int | None
    total_ms: int | None
    passed_over: list[PassedOverView]


def sums_json(sums: Sums) -> dict[str, JSON]:
    """Give sums as the API shows them."""
    return {**asdict(sums), **amounts(cost=sums.cost_micro_usd)}


def group_json(group: str, sums: Sums) -> dict[str, JSON]:
    """Give the sums of a group."""
    return {"group": group, **sums_json(sums)}


_PLAIN = (
    "created_at", "model", "outcome", "attempt", "input_tokens", "cached_tokens", "output_tokens",
    "reasoning_tokens", "is_priced", "first_token_ms", "total_ms", "passed_over",
)  # fmt: skip
_OR_NONE = ("served_by", "error", "node", "workflow", "agent", "caller")


def call_json(call: Usage) -> JSON:
    """Give a call as the API shows it."""
    view = CallView(
        id=call.pk,
        run=call.run_id,
        run_url=f"/v1/runs/{call.run_id}" if call.run_id else None,
        **{name: getattr(call, name) for name in _PLAIN},
        **{name: getattr(call, name) or None for name in _OR_NONE},
        **amounts(cost=call.cost_micro_usd, reserved=call.reserved_micro_usd),
    )
    return view.model_dump(mode="json")
