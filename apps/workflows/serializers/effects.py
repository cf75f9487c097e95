"""Effects as the API and the commands show them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from apps.common.json import JSON
from apps.workflows.models import Effect
from apps.workflows.store.values import read_value


class EffectView(BaseModel):
    """An outgoing call: what was sent, what is known of it, and who decided where that was not known."""

    id: UUID
    run: UUID
    workflow: str
    node: str
    visit: int
    index: int | None
    call: int
    tool: str | None
    state: str
    on_unknown: str
    idempotency_key: str
    fence: int
    attempt: int
    sends: int
    arguments_digest: str | None
    arguments_preview: str | None
    error: Any
    created_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    decision: str | None
    comment: str
    decided_by: str | None
    decided_at: datetime | None
    url: str
    run_url: str


class EffectDetail(EffectView):
    """An outgoing call with the result that is kept of it."""

    result: Any


_PLAIN = ("call", "on_unknown", "fence", "attempt", "sends", "error", "comment")
_TIMES = ("created_at", "sent_at", "settled_at", "decided_at")
_MAYBE_EMPTY: Sequence[str] = ("tool", "decision", "decided_by")


def effect_view(effect: Effect) -> dict[str, JSON]:
    """An effect in a list."""
    return EffectView(**_columns(effect)).model_dump(mode="json")


def effect_detail(effect: Effect) -> dict[str, JSON]:
    """One effect with its result."""
    result = read_value(effect.organization_id, effect.result)
    return EffectDetail(**_columns(effect), result=result).model_dump(mode="json")


def _columns(effect: Effect) -> dict[str, Any]:
    node = effect.node_run
    return {
        "id": effect.pk,
        "run": effect.run_id,
        "workflow": effect.run.name,
        "node": node.node,
        "visit": node.visit,
        "index": node.index if node.index >= 0 else None,
        "state": getattr(effect, "known", effect.state),
        "idempotency_key": effect.key,
        "arguments_digest": effect.digest or None,
        "arguments_preview": effect.preview or None,
        **{name: getattr(effect, name) for name in (*_PLAIN, *_TIMES)},
        **{name: getattr(effect, name) or None for name in _MAYBE_EMPTY},
        "url": f"/v1/effects/{effect.pk}",
        "run_url": f"/v1/runs/{effect.run_id}",
    }
