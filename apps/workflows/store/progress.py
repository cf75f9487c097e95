"""Statements that move a run forward. Whoever changes a run or any of its nodes holds the lock on the run's row."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

import orjson

from apps.common.json import dumps
from apps.workflows.engine.states import NodeStatus, RunStatus
from apps.workflows.store.database import Row, Transaction
from apps.workflows.store.rows import ContextRow, EventRow, NodeRow, RunRow

_RUN_COLUMNS = """
id, organization_id, version_id, workflow_id, name, status, input, marking, priority, last_seq, visits, nesting,
parent_id, parent_node_id, created_by, started_at, clock_timestamp() as now
"""
_LOCK_RUN = f"select {_RUN_COLUMNS} from workflows_run where id = %(run)s for update"
_RUN_OF_NODE = "select run_id from workflows_noderun where id = %(node)s"

_NODE_COLUMNS = ", ".join(column.name for column in fields(NodeRow))
_NODES = f"""
with wanted as (select unnest(%(ids)s::uuid[]) as id), with_maps as (
    select id from wanted union
    select n.parent_id from workflows_noderun n join wanted using (id) where n.parent_id is not null)
select {", ".join(f"n.{column.name}" for column in fields(NodeRow))} from workflows_noderun n join with_maps using (id)
"""
_OPEN_NODES = f"""
select {_NODE_COLUMNS} from workflows_noderun
where run_id = %(run)s and status in ('queued', 'retrying', 'running', 'waiting') and index = -1
"""
_STOPPED_NODES = f"""
select {_NODE_COLUMNS} from workflows_noderun
where run_id = %(run)s and status in ('failed', 'cancelled') and (node, visit) in
    (select * from unnest(%(names)s::text[], %(visits)s::int[]))
order by index
"""
_NEXT_ITEMS = f"""
select {_NODE_COLUMNS} from workflows_noderun
where parent_id = %(parent)s and status = 'queued' and available_at = '9999-01-01Z' and not id = any(%(known)s)
order by index limit %(limit)s
"""

_WRITTEN = {
    "id": "uuid", "status": "text", "waiting_for": "text", "available_at": "timestamptz", "deadline_at": "timestamptz",
    "hinted_at": "timestamptz", "fence": "int8", "completed_fence": "int8", "attempt": "int4", "lost_count": "int4",
    "open_items": "int4", "worker": "uuid", "input": "text", "output": "text", "error": "text", "state": "text",
    "started_at": "timestamptz", "finished_at": "timestamptz",
}  # fmt: skip
_FIXED = {
    "run_id": "uuid", "organization_id": "uuid", "node": "text", "visit": "int4", "index": "int4", "parent_id": "uuid",
    "depth": "int8", "handler": "text", "queue": "text", "priority": "int4", "timeout": "float8",
}  # fmt: skip


def _arrays(columns: dict[str, str]) -> str:
    return ", ".join(f"%({name})s::{kind}[]" for name, kind in columns.items())


_UPDATE_NODES = f"""
update workflows_noderun n set {", ".join(f"{name} = d.{name}" for name in _WRITTEN if name != "id")}
from unnest({_arrays(_WRITTEN)}) as d({", ".join(_WRITTEN)}) where n.id = d.id
"""
_ALL = _WRITTEN | _FIXED
_INSERT_NODES = f"""
insert into workflows_noderun ({", ".join(_ALL)}) select * from unnest({_arrays(_ALL)})
on conflict (run_id, node, visit, index) do nothing
"""

_CANCEL_NODES = """
update workflows_noderun
set status = 'cancelled', waiting_for = '', available_at = null, finished_at = clock_timestamp()
where run_id = %(run)s and status in ('queued', 'retrying', 'running', 'waiting') and not id = any(%(but)s)
returning id, node, visit, index, status
"""
_CANCEL_ITEMS = """
update workflows_noderun
set status = 'cancelled', waiting_for = '', available_at = null, finished_at = clock_timestamp()
where parent_id = %(parent)s and status in ('queued', 'retrying', 'running', 'waiting') and not id = any(%(but)s)
"""
_CANCEL_APPROVALS = """
update workflows_approval set status = 'cancelled' where run_id = %(run)s and status = 'open'
"""
_CANCEL_ITEM_APPROVALS = """
update workflows_approval set status = 'cancelled'
where status = 'open' and node_run_id in (select id from workflows_noderun where parent_id = %(parent)s)
"""
_ATTEMPTS_OPEN = """
insert into workflows_attempt (node_run_id, fence, worker, outcome)
select *, '' from unnest(%(node_run)s::uuid[], %(fence)s::int8[], %(worker)s::uuid[]) on conflict do nothing
"""
_ATTEMPTS_END = """
update workflows_attempt a set ended_at = clock_timestamp(), outcome = d.outcome, error = d.error
from unnest(%(node_run)s::uuid[], %(fence)s::int8[], %(outcome)s::text[], %(error)s::text[])
    as d(node_run, fence, outcome, error)
where a.node_run_id = d.node_run and a.fence = d.fence
    and (a.ended_at is null or a.outcome in ('lost', 'released') and d.outcome in ('completed', 'failed'))
"""
_ATTEMPTS_CANCEL = """
update workflows_attempt set ended_at = clock_timestamp(), outcome = 'cancelled'
where ended_at is null and node_run_id in (
    select id from workflows_noderun where run_id = %(run)s and status = 'cancelled')
"""
_ITEM_ATTEMPTS_CANCEL = """
update workflows_attempt set ended_at = clock_timestamp(), outcome = 'cancelled'
where ended_at is null and node_run_id in (
    select id from workflows_noderun where parent_id = %(parent)s and status = 'cancelled')
"""
_INSERT_EVENTS = """
insert into workflows_runevent (run_id, seq, type, node, visit, index, node_run_id, data)
select %(run)s, * from unnest(%(seq)s::int8[], %(type)s::text[], %(node)s::text[], %(visit)s::int4[], %(index)s::int4[],
    %(node_run)s::uuid[], %(data)s::text[])
"""
_INSERT_CONTEXT = """
insert into workflows_contextentry (run_id, key, seq, rank, value, node, node_run_id)
select %(run)s, key, seq, string_to_array(rank, ',')::int8[], value, node, node_run
from unnest(%(key)s::text[], %(seq)s::int8[], %(rank)s::text[], %(value)s::text[], %(node)s::text[],
    %(node_run)s::uuid[]) as d(key, seq, rank, value, node, node_run)
"""
_UPDATE_RUN = """
update workflows_run set status = %(status)s, marking = %(marking)s, last_seq = %(last_seq)s, visits = %(visits)s,
    output = %(output)s, error = %(error)s, started_at = coalesce(started_at, %(started_at)s),
    finished_at = case when %(ended)s then coalesce(finished_at, clock_timestamp()) end
where id = %(run)s
"""
_RENEW_DEADLINE = """
update workflows_run set deadline_at = clock_timestamp() + make_interval(secs => %(seconds)s) where id = %(run)s
"""

_LATEST_VISITS = """
select distinct on (node) node, visit, status, output, error from workflows_noderun
where run_id = %(run)s and index = -1 and (%(all)s or node = any(%(nodes)s))
order by node, (finished_at is not null) desc, visit desc
"""
_CONTEXT = """
select key, value, rank, node from workflows_contextentry
where run_id = %(run)s and (%(all)s or key = any(%(keys)s)) order by key, rank, seq
"""
_VISITED = "select distinct node from workflows_noderun where run_id = %(run)s and index = -1"
_STILL_WORKING = """
select exists (select 1 from workflows_noderun where run_id = %(run)s and not id = any(%(known)s)
    and (status = 'running' or status in ('queued', 'retrying') and available_at < '9999-01-01Z'
        or status = 'waiting' and waiting_for = 'child'))
"""
_ITEM_OUTPUTS = """
select index, status, output, error from workflows_noderun where parent_id = %(parent)s order by index
"""
_ITEM_COUNTS = "select status, count(*) as count from workflows_noderun where parent_id = %(parent)s group by status"


def lock_run(tx: Transaction, run: UUID) -> RunRow | None:
    """The run, locked until the transaction ends; None where there is none."""
    return _run(tx.row(_LOCK_RUN, run=run))


def run_of_node(tx: Transaction, node: UUID) -> UUID | None:
    """The run that a node run belongs to; None where there is none."""
    found: UUID | None = tx.value(_RUN_OF_NODE, node=node)
    return found


def nodes(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, NodeRow]:
    """Node runs by id, together with the maps that any of them is an item of."""
    return {row["id"]: node_row(row) for row in tx.rows(_NODES, ids=list(ids))}


def open_nodes(tx: Transaction, run: UUID) -> list[NodeRow]:
    """The visits of a run that have not ended."""
    return [node_row(row) for row in tx.rows(_OPEN_NODES, run=run)]


def stopped_nodes(tx: Transaction, run: UUID, visits: Iterable[tuple[str, int]]) -> list[NodeRow]:
    """The failed and cancelled node runs of the given visits, items of maps included, in order."""
    names, numbers = zip(*visits, strict=True)
    return [node_row(row) for row in tx.rows(_STOPPED_NODES, run=run, names=list(names), visits=list(numbers))]


def next_items(tx: Transaction, parent: UUID, limit: int, known: Collection[UUID]) -> list[NodeRow]:
    """The items of a map whose turn is next, but for the known ones."""
    return [node_row(row) for row in tx.rows(_NEXT_ITEMS, parent=parent, limit=limit, known=list(known))]


def item_outputs(tx: Transaction, parent: UUID) -> list[Row]:
    """Index, status, output and error of every item of a map, in order."""
    return tx.rows(_ITEM_OUTPUTS, parent=parent)


def item_counts(tx: Transaction, parent: UUID) -> dict[str, int]:
    """How many items of a map have which status."""
    return {row["status"]: row["count"] for row in tx.rows(_ITEM_COUNTS, parent=parent)}


def latest_visits(tx: Transaction, run: UUID, names: Collection[str] | None) -> list[Row]:
    """The latest visit of each node (None: all) that has ended, or else the latest: status, output, error."""
    return tx.rows(_LATEST_VISITS, run=run, all=names is None, nodes=list(names or ()))


def context_writes(tx: Transaction, run: UUID, keys: Collection[str] | None) -> list[Row]:
    """Every write to the keys (None: all) by key, in the order in which they count."""
    return tx.rows(_CONTEXT, run=run, all=keys is None, keys=list(keys or ()))


def visited(tx: Transaction, run: UUID) -> set[str]:
    """The nodes that have started at least once."""
    return set(tx.values(_VISITED, run=run))


def still_working(tx: Transaction, run: UUID, known: Collection[UUID]) -> bool:
    """Whether any node run but the known ones is queued, running or waits for a child run."""
    return bool(tx.value(_STILL_WORKING, run=run, known=list(known)))


def update_nodes(tx: Transaction, rows: Sequence[NodeRow]) -> None:
    """Writes the changing columns of node runs."""
    tx.insert(_UPDATE_NODES, tuple(_WRITTEN), [_record(row) for row in rows])


def insert_nodes(tx: Transaction, rows: Sequence[NodeRow]) -> None:
    """Adds node runs; one that exists already is left as it is."""
    tx.insert(_INSERT_NODES, tuple(_ALL), [_record(row) for row in rows])


def cancel_nodes(tx: Transaction, run: UUID, but: Collection[UUID] = ()) -> list[Row]:
    """Cancels everything of a run that has not ended; gives id, node, visit and index of each."""
    cancelled = tx.rows(_CANCEL_NODES, run=run, but=list(but))
    tx.execute(_CANCEL_APPROVALS, run=run)
    tx.execute(_ATTEMPTS_CANCEL, run=run)
    return cancelled


def cancel_items(tx: Transaction, parent: UUID, but: Collection[UUID] = ()) -> None:
    """Cancels the items of a map that have not ended."""
    tx.execute(_CANCEL_ITEMS, parent=parent, but=list(but))
    tx.execute(_CANCEL_ITEM_APPROVALS, parent=parent)
    tx.execute(_ITEM_ATTEMPTS_CANCEL, parent=parent)


def open_attempts(tx: Transaction, rows: Sequence[NodeRow]) -> None:
    """Notes that a worker has begun with the node runs."""
    records = [{"node_run": row.id, "fence": row.fence, "worker": row.worker} for row in rows]
    tx.insert(_ATTEMPTS_OPEN, ("node_run", "fence", "worker"), records)


def end_attempts(tx: Transaction, ended: Sequence[tuple[NodeRow, str]]) -> None:
    """Notes how the current attempts of the node runs ended; what is said first of one counts."""
    records: dict[tuple[UUID, int], dict[str, Any]] = {}
    for row, outcome in ended:
        error = _text(row.error) if outcome in ("failed", "timeout") else None
        record = {"node_run": row.id, "fence": row.fence, "outcome": outcome, "error": error}
        records.setdefault((row.id, row.fence), record)
    tx.insert(_ATTEMPTS_END, ("node_run", "fence", "outcome", "error"), list(records.values()))


def insert_events(tx: Transaction, run: RunRow, events: Sequence[EventRow]) -> None:
    """Appends events to the run's history; their numbers follow `run.last_seq`, which is moved on."""
    records = [
        {
            "seq": run.last_seq + place,
            "type": event.type,
            "node": event.node.node if event.node else "",
            "visit": event.node.visit if event.node else None,
            "index": event.node.index if event.node and event.node.is_item else None,
            "node_run": event.node.id if event.node else None,
            "data": dumps(event.data).decode(),
        }
        for place, event in enumerate(events, start=1)
    ]
    run.last_seq += len(records)
    if records:
        columns = ("seq", "type", "node", "visit", "index", "node_run", "data")
        tx.execute(_INSERT_EVENTS, run=run.id, **{name: [record[name] for record in records] for name in columns})


def insert_context(tx: Transaction, run: UUID, writes: Sequence[ContextRow]) -> None:
    """Adds writes to context keys."""
    if not writes:
        return
    tx.execute(
        _INSERT_CONTEXT,
        run=run,
        key=[write.key for write in writes],
        seq=[write.seq for write in writes],
        rank=[",".join(map(str, write.rank)) for write in writes],
        value=[write.value for write in writes],
        node=[write.node for write in writes],
        node_run=[write.node_run_id for write in writes],
    )


def update_run(tx: Transaction, run: RunRow, marking: dict[str, Any]) -> None:
    """Writes what has changed of the run."""
    tx.execute(
        _UPDATE_RUN,
        run=run.id,
        status=run.status,
        marking=_text(marking),
        last_seq=run.last_seq,
        visits=run.visits,
        output=run.output,
        error=_text(run.error),
        started_at=run.started_at,
        ended=run.status in ("completed", "failed", "cancelled"),
    )


def renew_deadline(tx: Transaction, run: UUID, seconds: float) -> None:
    """Gives a run its whole time again."""
    tx.execute(_RENEW_DEADLINE, run=run, seconds=seconds)


def node_row(row: Row) -> NodeRow:
    """A node run from its columns."""
    status, error, state = NodeStatus(row["status"]), row["error"], row["state"]
    parsed = {"status": status, "error": error and orjson.loads(error), "state": orjson.loads(state)}
    return NodeRow(**{name: row[name] for name in NODE_FIELDS} | parsed)


NODE_FIELDS = tuple(column.name for column in fields(NodeRow))


def _run(row: Row | None) -> RunRow | None:
    if row is None:
        return None
    return RunRow(**row | {"status": RunStatus(row["status"]), "marking": orjson.loads(row["marking"])})


def _record(row: NodeRow) -> dict[str, Any]:
    record = {name: getattr(row, name) for name in _ALL}
    record["status"] = row.status.value
    record["error"] = _text(row.error)
    record["state"] = _text(row.state)
    return record


def _text(value: Any) -> str | None:
    return None if value is None else dumps(value).decode()
