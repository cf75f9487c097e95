"""What a waiting node asks of the world outside: a decision, an event."""

from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from apps.common.ids import uuid7
from apps.common.json import JSON, dumps
from apps.workflows.nodes.base import ApprovalRequest, Completed, EventRequest
from apps.workflows.store.database import Transaction
from apps.workflows.store.rows import NodeRow, RunRow

if TYPE_CHECKING:
    from apps.workflows.services.transition.transition import Transition

_INSERT_APPROVAL = """
insert into workflows_approval (id, organization_id, run_id, node_run_id, status, message, assignees, form, payload,
    on_timeout, deadline_at, comment, decided_by)
values (%(id)s, %(organization)s, %(run)s, %(node_run)s, 'open', %(message)s, %(assignees)s::jsonb, %(form)s,
    %(payload)s, %(on_timeout)s, %(deadline_at)s, '', '')
on conflict (node_run_id) do update set status = 'open', message = excluded.message, assignees = excluded.assignees,
    form = excluded.form, payload = excluded.payload, on_timeout = excluded.on_timeout,
    deadline_at = excluded.deadline_at, created_at = clock_timestamp(), data = null, comment = '', decided_by = '',
    decided_at = null
"""
_TAKE_SIGNAL = """
update workflows_signal set taken_by_id = %(node_run)s
where id = (select id from workflows_signal where run_id = %(run)s and event = %(event)s and taken_by_id is null
    order by created_at, id limit 1)
returning payload
"""
_EXPIRE = "update workflows_approval set status = 'expired' where node_run_id = %(node_run)s and status = 'open'"
_CLOSE = """
update workflows_approval set status = %(status)s, data = %(data)s, comment = %(comment)s, decided_by = %(by)s,
    decided_at = clock_timestamp()
where id = %(approval)s and status = 'open' returning id
"""
_KEEP_SIGNAL = """
insert into workflows_signal (id, organization_id, run_id, event, payload, sent_by)
values (%(id)s, %(organization)s, %(run)s, %(event)s, %(payload)s, %(by)s)
"""
_WAITING_FOR = """
select id from workflows_noderun
where run_id = %(run)s and status = 'waiting' and waiting_for = 'event' and state::json ->> 'event' = %(event)s
order by index, visit limit 1
"""


def ask(transition: "Transition", row: NodeRow, request: object) -> None:
    """Puts the question to people, or takes the event if it has come already."""
    if isinstance(request, ApprovalRequest):
        _insert_approval(transition, row, request)
        row.state["approval"] = True
    elif isinstance(request, EventRequest):
        row.state["event"] = request.event
        taken = take_signal(transition.tx, row, request.event)
        if taken is not None:
            (payload,) = transition.packer.unpack(transition.tx, [taken])
            transition.bring(row, Completed(payload))


def take_signal(tx: Transaction, row: NodeRow, event: str) -> str | None:
    """The oldest untaken payload of an event of the run, as stored; it is the node's from now on."""
    found = tx.row(_TAKE_SIGNAL, run=row.run_id, event=event, node_run=row.id)
    return found["payload"] if found else None


def expire(tx: Transaction, row: NodeRow) -> None:
    """Closes the question of a node: its time is over."""
    tx.execute(_EXPIRE, node_run=row.id)


def close(tx: Transaction, approval: UUID, *, status: str, data: JSON, comment: str, by: str) -> bool:
    """Records a decision; False when the question is not open any more."""
    stored = dumps(data).decode()
    return tx.value(_CLOSE, approval=approval, status=status, data=stored, comment=comment, by=by) is not None


def keep_signal(tx: Transaction, run: RunRow, event: str, payload: str, by: str) -> None:
    """Keeps an event of a run until a node takes it."""
    tx.execute(
        _KEEP_SIGNAL, id=uuid7(), organization=run.organization_id, run=run.id, event=event, payload=payload, by=by
    )


def waiting_for(tx: Transaction, run: UUID, event: str) -> UUID | None:
    """The node run that waits for the event, the first item or visit where there are several."""
    found: UUID | None = tx.value(_WAITING_FOR, run=run, event=event)
    return found


def _insert_approval(transition: "Transition", row: NodeRow, request: ApprovalRequest) -> None:
    identifier: UUID = uuid7()
    transition.tx.execute(
        _INSERT_APPROVAL,
        id=identifier,
        organization=row.organization_id,
        run=row.run_id,
        node_run=row.id,
        message=request.message,
        assignees=orjson.dumps(request.assignees).decode(),
        form=None if request.form is None else dumps(request.form).decode(),
        payload=None if request.payload is None else dumps(request.payload).decode(),
        on_timeout=request.on_timeout,
        deadline_at=row.available_at,
    )
