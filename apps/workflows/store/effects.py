"""The ledger of effects: outgoing calls and what became of them, written under the fence of their attempt."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from apps.common.ids import uuid7
from apps.workflows.store.database import Transaction
from apps.workflows.store.rows import NodeRow

# The lock on the node run makes a claim by another worker wait until the row is there for it to find, and makes
# this wait until such a claim is there to see.
_SEND = """
insert into workflows_effect (id, organization_id, run_id, node_run_id, call, key, tool, state, on_unknown, fence,
    attempt, sends, digest, preview, sent_at, decision, comment, decided_by)
select %(id)s, n.organization_id, n.run_id, n.id, %(call)s, %(key)s, %(tool)s, 'sent', %(on_unknown)s, n.fence,
    n.attempt, 1, %(digest)s, %(preview)s, clock_timestamp(), '', '', ''
from (select * from workflows_noderun where id = %(node_run)s and fence = %(fence)s
    and status in ('running', 'queued') for share) as n
on conflict (node_run_id, call) do nothing returning id
"""
_FIND = """
select e.id, e.tool, e.state, e.fence, e.result from workflows_effect e join workflows_noderun n on n.id = e.node_run_id
where e.node_run_id = %(node_run)s and e.call = %(call)s and n.fence = %(fence)s and n.status in ('running', 'queued')
for update of e for share of n
"""
_SEND_AGAIN = """
update workflows_effect set state = 'sent', tool = %(tool)s, on_unknown = %(on_unknown)s, fence = %(fence)s,
    attempt = %(attempt)s, sends = sends + 1, digest = %(digest)s, preview = %(preview)s, sent_at = clock_timestamp(),
    error = null
where id = %(id)s
"""
_GIVE_UP = """
update workflows_effect set state = %(state)s, fence = %(fence)s, attempt = %(attempt)s, decision = %(decision)s,
    decided_by = %(by)s::text, decided_at = case when %(by)s::text <> '' then clock_timestamp() end
where id = %(id)s
"""
_RECONCILE = """
update workflows_effect set state = 'confirmed', result = %(result)s, fence = %(fence)s, attempt = %(attempt)s,
    error = null, decision = 'happened', decided_by = 'lookup', decided_at = clock_timestamp(),
    settled_at = clock_timestamp()
where id = %(id)s
"""
# An answer counts as long as nobody else has claimed the node: also when it was cancelled or lost meanwhile.
_SETTLE = """
update workflows_effect e set state = %(state)s, result = coalesce(%(result)s, e.result), error = %(error)s,
    settled_at = clock_timestamp()
from workflows_noderun n
where e.node_run_id = %(node_run)s and e.call = %(call)s and e.fence = %(fence)s
    and n.id = e.node_run_id and n.fence = e.fence and (e.state <> 'confirmed' or e.decided_by = '')
returning e.id
"""
_DOUBT = """
insert into workflows_effect (id, organization_id, run_id, node_run_id, call, key, tool, state, on_unknown, fence,
    attempt, sends, digest, preview, sent_at, decision, comment, decided_by)
values (%(id)s, %(organization)s, %(run)s, %(node_run)s, 0, %(key)s, '', 'unknown', 'ask', %(fence)s,
    %(attempt)s, 1, '', '', clock_timestamp(), '', '', '')
on conflict (node_run_id, call) do update set state = 'unknown', on_unknown = 'ask'
    where workflows_effect.state in ('planned', 'sent', 'unknown')
returning id
"""
_HAPPENED = """
select result from workflows_effect where node_run_id = %(node_run)s and call = 0 and state = 'confirmed'
"""
_DECIDE = """
update workflows_effect e set state = %(state)s, result = coalesce(%(result)s, e.result), decision = %(decision)s,
    comment = %(comment)s, decided_by = %(by)s, decided_at = clock_timestamp()
from workflows_noderun n
where e.id = %(id)s and n.id = e.node_run_id
    and (e.state = 'unknown' or e.state = 'sent' and n.status in ('completed', 'failed', 'cancelled'))
returning e.id
"""
_UNDECIDED = """
select e.id from workflows_effect e join workflows_noderun n on n.id = e.node_run_id
where e.run_id = %(run)s and e.on_unknown = 'ask' and (n.node, n.visit) in
        (select * from unnest(%(names)s::text[], %(visits)s::int[]))
    and (e.state = 'unknown' or e.state = 'sent' and n.status in ('completed', 'failed', 'cancelled'))
order by e.created_at, e.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An outgoing call of a claimed node run."""

    row: NodeRow
    number: int  # 0: the node's own; those of an agent count from 1
    tool: str
    on_unknown: str
    digest: str
    preview: str
    has_lookup: bool = False  # whether the other side can say what became of it

    @property
    def place(self) -> dict[str, Any]:
        """What its row is found by, and the fence it is written under."""
        return {"node_run": self.row.id, "call": self.number, "fence": self.row.fence}


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger knows of a call that an earlier attempt has made."""

    id: UUID
    tool: str
    state: str
    fence: int
    result: str | None


def key_of(row: NodeRow, call: int | None = None) -> str:
    """The idempotency key: run, node, visit, index and call; the same in every attempt."""
    key = f"{row.run_id}:{row.node}:{row.visit}:{row.index}"
    return key if call is None else f"{key}:{call}"


def send(tx: Transaction, call: Call) -> bool:
    """Notes that a call goes out; False when the ledger has it already, or when the attempt has been fenced off."""
    key = key_of(call.row, call.number)
    return tx.value(_SEND, id=uuid7(), key=key, **_written(call), **call.place) is not None


def find(tx: Transaction, call: Call) -> Found | None:
    """What the ledger knows of the call, locked; None when the attempt has been fenced off."""
    row = tx.row(_FIND, **call.place)
    return Found(**row) if row else None


def send_again(tx: Transaction, call: Call, effect: UUID) -> None:
    """Notes that the call goes out once more, with the same key."""
    tx.execute(_SEND_AGAIN, id=effect, fence=call.row.fence, attempt=call.row.attempt, **_written(call))


def give_up(tx: Transaction, call: Call, effect: UUID, *, state: str, by: str = "") -> None:
    """Notes that this attempt does not send the call, and who has decided that, if anybody has."""
    mine = {"fence": call.row.fence, "attempt": call.row.attempt}
    tx.execute(_GIVE_UP, id=effect, state=state, decision="fail" if by else "", by=by, **mine)


def reconcile(tx: Transaction, call: Call, effect: UUID, *, result: str | None) -> None:
    """Notes the result that the other side says the call had."""
    tx.execute(_RECONCILE, id=effect, result=result, fence=call.row.fence, attempt=call.row.attempt)


def settle(tx: Transaction, call: Call, *, state: str, result: str | None = None, error: Any = None) -> bool:
    """Notes what came of the call; False when another attempt has taken over."""
    text = None if error is None else orjson.dumps(error).decode()
    return tx.value(_SETTLE, state=state, result=result, error=text, **call.place) is not None


def doubt(tx: Transaction, row: NodeRow) -> UUID | None:
    """Notes that nobody knows what a node run did before it was lost; None when the ledger knows."""
    found: UUID | None = tx.value(
        _DOUBT,
        id=uuid7(),
        organization=row.organization_id,
        run=row.run_id,
        node_run=row.id,
        key=key_of(row, 0),
        fence=row.fence,
        attempt=row.attempt,
    )
    return found


def happened(tx: Transaction, node_run: UUID) -> tuple[bool, str | None]:
    """Whether the node's own effect has happened, and what came of it."""
    row = tx.row(_HAPPENED, node_run=node_run)
    return (row is not None), row["result"] if row else None


def decide(
    tx: Transaction, effect: UUID, *, state: str, decision: str, result: str | None, comment: str, by: str
) -> bool:
    """Records what a person says became of an unknown effect; False when it is not unknown any more."""
    values = {"state": state, "decision": decision, "result": result, "comment": comment, "by": by}
    return tx.value(_DECIDE, id=effect, **values) is not None


def undecided(tx: Transaction, run: UUID, visits: Collection[tuple[str, int]]) -> list[UUID]:
    """The effects of these visits that wait for a person's decision."""
    names, numbers = [name for name, _ in visits], [visit for _, visit in visits]
    return list(tx.values(_UNDECIDED, run=run, names=names, visits=numbers))


def _written(call: Call) -> dict[str, Any]:
    return {"tool": call.tool, "on_unknown": call.on_unknown, "digest": call.digest, "preview": call.preview}
