"""Copying what a run had finished into another run."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from apps.workflows.store.database import Row, Transaction

_QUEUED_AT = """
select min(seq) from workflows_runevent
where run_id = %(run)s and type = 'node.queued' and node = %(node)s and index is null
    and visit = coalesce(%(visit)s::int, (select max(visit) from workflows_runevent
        where run_id = %(run)s and type = 'node.queued' and node = %(node)s and index is null))
"""
_HISTORY = """
select seq, type, node, visit, node_run_id, data from workflows_runevent
where run_id = %(run)s and seq < %(before)s and index is null
    and type in ('node.completed', 'node.failed', 'edge.taken')
order by seq
"""
_WITH_ITEMS = "select id from workflows_noderun where id = any(%(ids)s) or parent_id = any(%(ids)s)"
_COPY_NODES = """
insert into workflows_noderun (id, run_id, organization_id, node, visit, index, parent_id, depth, handler, queue,
    status, waiting_for, priority, timeout, fence, completed_fence, attempt, lost_count, open_items, worker, input,
    output, error, state, created_at, started_at, finished_at)
select m.new, %(run)s, n.organization_id, n.node, n.visit, n.index, p.new, n.depth, n.handler, n.queue,
    n.status, '', n.priority, n.timeout, n.fence, n.completed_fence, n.attempt, n.lost_count, 0, n.worker, n.input,
    n.output, n.error, n.state, n.created_at, n.started_at, n.finished_at
from unnest(%(old)s::uuid[], %(new)s::uuid[]) as m(old, new) join workflows_noderun n on n.id = m.old
left join unnest(%(old)s::uuid[], %(new)s::uuid[]) as p(old, new) on p.old = n.parent_id
"""
_COPY_EVENTS = """
insert into workflows_runevent (run_id, seq, type, node, visit, index, node_run_id, data, created_at)
select %(run)s, e.seq, e.type, e.node, e.visit, e.index, m.new, e.data, e.created_at
from workflows_runevent e left join unnest(%(old)s::uuid[], %(new)s::uuid[]) as m(old, new) on m.old = e.node_run_id
where e.run_id = %(source)s and e.seq < %(before)s
"""
_COPY_CONTEXT = """
insert into workflows_contextentry (run_id, key, seq, rank, value, node, node_run_id)
select %(run)s, c.key, c.seq, c.rank, c.value, c.node, m.new
from workflows_contextentry c left join unnest(%(old)s::uuid[], %(new)s::uuid[]) as m(old, new) on m.old = c.node_run_id
where c.run_id = %(source)s and c.seq < %(before)s and not c.key = any(%(but)s)
"""
_CONTINUE = """
update workflows_run set marking = %(marking)s, last_seq = %(last_seq)s, visits = %(visits)s where id = %(run)s
"""


def queued_at(tx: Transaction, run: UUID, node: str, visit: int | None) -> int | None:
    """The number of the event that queued a visit of a node (None: its latest); None where it never was."""
    found: int | None = tx.value(_QUEUED_AT, run=run, node=node, visit=visit)
    return found


def history(tx: Transaction, run: UUID, before: int) -> list[Row]:
    """The ends of visits and the edges taken before an event, in order."""
    rows = tx.rows(_HISTORY, run=run, before=before)
    return [row | {"data": orjson.loads(row["data"])} for row in rows]


def with_items(tx: Transaction, visits: Sequence[UUID]) -> list[UUID]:
    """The visits and the map items that belong to them."""
    return list(tx.values(_WITH_ITEMS, ids=list(visits)))


def copy_finished(
    tx: Transaction, *, source: UUID, run: UUID, before: int, ids: Mapping[UUID, UUID], but_context: Sequence[str]
) -> None:
    """Copies node runs (old id to new id), events and context writes from before an event."""
    pairs: dict[str, Any] = {"old": list(ids), "new": list(ids.values())}
    tx.execute(_COPY_NODES, run=run, **pairs)
    tx.execute(_COPY_EVENTS, run=run, source=source, before=before, **pairs)
    tx.execute(_COPY_CONTEXT, run=run, source=source, before=before, but=list(but_context), **pairs)


def set_progress(tx: Transaction, run: UUID, *, marking: str, last_seq: int, visits: int) -> None:
    """Where the new run stands before it goes on."""
    tx.execute(_CONTINUE, run=run, marking=marking, last_seq=last_seq, visits=visits)
