"""Writing what a transition has decided: everything in one statement.

Each kind of row is a JSON text that the server takes apart. One text costs a fraction of an array for
each column, and one statement a fraction of seven, here and in the server.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any
from uuid import UUID

import orjson

from apps.common.json import dumps
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.store.database import Transaction
from apps.workflows.store.rows import ContextRow, EventRow, NodeRow, RunRow

_CHANGING = {
    "id": "uuid", "status": "text", "waiting_for": "text", "available_at": "timestamptz", "deadline_at": "timestamptz",
    "hinted_at": "timestamptz", "fence": "int8", "completed_fence": "int8", "attempt": "int4", "lost_count": "int4",
    "open_items": "int4", "worker": "uuid", "input": "text", "output": "text", "error": "text", "state": "text",
    "started_at": "timestamptz", "finished_at": "timestamptz",
}  # fmt: skip
_ALL = _CHANGING | {
    "run_id": "uuid", "organization_id": "uuid", "node": "text", "visit": "int4", "index": "int4", "parent_id": "uuid",
    "depth": "int8", "handler": "text", "queue": "text", "priority": "int4", "timeout": "float8",
}  # fmt: skip


def _columns(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


_MADE = f"""
insert into workflows_noderun ({", ".join(_ALL)}) select * from json_to_recordset(%(made)s) as d({_columns(_ALL)})
on conflict (run_id, node, visit, index) do nothing
"""
_CHANGED = f"""
update workflows_noderun n set {", ".join(f"{name} = d.{name}" for name in _CHANGING if name != "id")}
from json_to_recordset(%(changed)s) as d({_columns(_CHANGING)}) where n.id = d.id
"""
_STARTED = """
insert into workflows_attempt (node_run_id, fence, worker, outcome)
select id, fence, worker, '' from json_to_recordset(%(started)s) as d(id uuid, fence int8, worker uuid)
on conflict do nothing
"""
_ENDED = """
update workflows_attempt a set ended_at = clock_timestamp(), outcome = d.outcome, error = d.error
from json_to_recordset(%(ended)s) as d(node_run uuid, fence int8, outcome text, error text)
where a.node_run_id = d.node_run and a.fence = d.fence
    and (a.ended_at is null or a.outcome in ('lost', 'released') and d.outcome in ('completed', 'failed'))
"""
_EVENTS = """
insert into workflows_runevent (run_id, seq, type, node, visit, index, node_run_id, data)
select %(run)s, * from json_to_recordset(%(events)s)
    as d(seq int8, type text, node text, visit int4, index int4, node_run uuid, data text)
"""
_CONTEXT = """
insert into workflows_contextentry (run_id, key, seq, rank, value, node, node_run_id)
select %(run)s, * from json_to_recordset(%(context)s)
    as d(key text, seq int8, rank int8[], value text, node text, node_run_id uuid)
"""
_RUN = """
update workflows_run set status = %(status)s, marking = %(marking)s, last_seq = %(last_seq)s, visits = %(visits)s,
    output = %(output)s, error = %(error)s, started_at = coalesce(started_at, %(started_at)s),
    finished_at = case when %(over)s then coalesce(finished_at, clock_timestamp()) end
where id = %(run)s
"""
_PARTS = {
    "made": _MADE, "changed": _CHANGED, "started": _STARTED, "ended": _ENDED, "events": _EVENTS, "context": _CONTEXT,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a transition has to write beside the run itself."""

    made: Sequence[NodeRow] = ()  # new node runs; one that exists already is left as it is
    changed: Sequence[NodeRow] = ()
    started: Sequence[NodeRow] = ()  # node runs that a worker begins with
    ended: Sequence[tuple[NodeRow, str]] = ()  # attempts and how they ended; what is said first of one counts
    events: Sequence[EventRow] = ()  # numbered from `run.last_seq` on
    context: Sequence[ContextRow] = ()


def write(tx: Transaction, run: RunRow, marking: dict[str, Any], decided: Decided) -> None:
    """Writes a run and what was decided about it; `run.last_seq` is moved on by the events."""
    records = {
        "made": [_record(row, _ALL) for row in decided.made],
        "changed": [_record(row, _CHANGING) for row in decided.changed],
        "started": [{"id": row.id, "fence": row.fence, "worker": row.worker} for row in decided.started],
        "ended": _ended(decided.ended),
        "events": [_event(event, run.last_seq + place) for place, event in enumerate(decided.events, start=1)],
        "context": [asdict(write) for write in decided.context],
    }
    run.last_seq += len(decided.events)
    texts = {name: orjson.dumps(rows).decode() for name, rows in records.items() if rows}
    tx.execute(_statement(tuple(texts)), **texts, **_run(run, marking))


def insert_context(tx: Transaction, run: UUID, writes: Sequence[ContextRow]) -> None:
    """Adds writes to context keys."""
    if writes:
        tx.execute(_CONTEXT, run=run, context=orjson.dumps([asdict(write) for write in writes]).decode())


@cache
def _statement(parts: tuple[str, ...]) -> str:
    """The statement for what there is to write; most transitions write one of a handful of combinations."""
    written = ", ".join(f"{name} as ({_PARTS[name]})" for name in parts)
    return f"with {written} {_RUN}" if parts else _RUN


def _run(run: RunRow, marking: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": run.id,
        "status": run.status,
        "marking": _text(marking),
        "last_seq": run.last_seq,
        "visits": run.visits,
        "output": run.output,
        "error": _text(run.error),
        "started_at": run.started_at,
        "over": run.status in RUN_ENDED,
    }


def _record(row: NodeRow, columns: Iterable[str]) -> dict[str, Any]:
    record = {name: getattr(row, name) for name in columns}
    return record | {"error": _text(row.error), "state": _text(row.state)}


def _ended(ended: Iterable[tuple[NodeRow, str]]) -> list[dict[str, Any]]:
    records: dict[tuple[UUID, int], dict[str, Any]] = {}
    for row, outcome in ended:
        error = _text(row.error) if outcome in ("failed", "timeout") else None
        record = {"node_run": row.id, "fence": row.fence, "outcome": outcome, "error": error}
        records.setdefault((row.id, row.fence), record)
    return list(records.values())


def _event(event: EventRow, seq: int) -> dict[str, Any]:
    node = event.node
    return {
        "seq": seq,
        "type": event.type,
        "node": node.node if node else "",
        "visit": node.visit if node else None,
        "index": node.index if node and node.is_item else None,
        "node_run": node.id if node else None,
        "data": _text(event.data),
    }


def _text(value: Any) -> str | None:
    return None if value is None else dumps(value).decode()
