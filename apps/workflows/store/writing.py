"""Writing what a transition has decided: everything in one statement, and only if nobody has changed the run since.

Whoever writes raises the run's revision, so the statement that finds the revision it was decided on stands where a
lock held from the first look would stand; the others wait for the row, find it changed and write nothing.
Each kind of row is a JSON text that the server takes apart. One text costs a fraction of an array for
each column, and one statement a fraction of seven, here and in the server.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import orjson

from apps.common.json import dumps
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.store.clock import heard
from apps.workflows.store.database import Changed, Transaction
from apps.workflows.store.rows import ContextRow, EndedAttempt, EventRow, NodeRow, RunRow

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
where exists (select from run) on conflict (run_id, node, visit, index) do nothing
"""
_CHANGED = f"""
update workflows_noderun n set {", ".join(f"{name} = d.{name}" for name in _CHANGING if name != "id")}
from json_to_recordset(%(changed)s) as d({_columns(_CHANGING)}) where n.id = d.id and exists (select from run)
"""
_STARTED = """
insert into workflows_attempt (node_run_id, fence, worker, outcome)
select id, fence, worker, '' from json_to_recordset(%(started)s) as d(id uuid, fence int8, worker uuid)
where exists (select from run) on conflict do nothing
"""
_ENDED = """
update workflows_attempt a set ended_at = clock_timestamp(), outcome = d.outcome, error = d.error
from json_to_recordset(%(ended)s) as d(node_run uuid, fence int8, outcome text, error text)
where a.node_run_id = d.node_run and a.fence = d.fence and exists (select from run)
    and (a.ended_at is null or a.outcome in ('lost', 'released') and d.outcome in ('completed', 'failed')
        or a.outcome = 'waiting' and d.outcome = 'timeout')
"""
_EVENTS = """
insert into workflows_runevent (run_id, seq, type, node, visit, index, node_run_id, data)
select %(run)s, * from json_to_recordset(%(events)s)
    as d(seq int8, type text, node text, visit int4, index int4, node_run uuid, data text)
where exists (select from run)
"""
_ENTRIES = """
insert into workflows_contextentry (run_id, key, seq, rank, value, node, node_run_id)
select %(run)s, * from json_to_recordset(%(context)s)
    as d(key text, seq int8, rank int8[], value text, node text, node_run_id uuid)
"""
_CONTEXT = f"{_ENTRIES} where exists (select from run)"
_BLOBS = """
insert into workflows_blob (id, organization_id, digest, content)
select * from json_to_recordset(%(blobs)s) as d(id uuid, organization uuid, digest text, content text)
where exists (select from run) on conflict (organization_id, digest) do nothing
"""
_RUN = """
update workflows_run set revision = revision + 1, status = %(status)s, marking = %(marking)s, last_seq = %(last_seq)s,
    visits = %(visits)s, output = %(output)s, error = %(error)s, started_at = coalesce(started_at, %(started_at)s),
    finished_at = case when %(over)s then coalesce(finished_at, clock_timestamp()) end
where id = %(run)s and revision = %(revision)s returning id
"""
_NEW_RUN = """
insert into workflows_run (id, organization_id, workflow_id, version_id, name, status, input, marking, priority, labels,
    trigger, created_by, parent_id, parent_node_id, nesting, forked_from_id, forked_at, last_seq, revision, visits,
    output, error, started_at, finished_at, cost_usd, tokens, deadline_at)
values (%(run)s, %(organization)s, %(workflow)s, %(version)s, %(name)s, %(status)s, %(input)s, %(marking)s,
    %(priority)s, %(labels)s::jsonb, %(trigger)s, %(created_by)s, %(parent)s, %(parent_node)s, %(nesting)s,
    %(forked_from)s, %(forked_at)s, %(last_seq)s, %(revision)s, %(visits)s, %(output)s, %(error)s, %(started_at)s,
    case when %(over)s then clock_timestamp() end, 0, 0,
    clock_timestamp() + make_interval(secs => %(timeout)s::float8))
on conflict (id) do nothing returning id
"""
_PARTS = {
    "made": _MADE, "changed": _CHANGED, "started": _STARTED, "ended": _ENDED, "events": _EVENTS, "context": _CONTEXT,
    "blobs": _BLOBS,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a transition has to write beside the run itself."""

    made: Sequence[NodeRow] = ()  # new node runs; one that exists already is left as it is
    changed: Sequence[NodeRow] = ()
    started: Sequence[NodeRow] = ()  # node runs that a worker begins with
    ended: Sequence[EndedAttempt] = ()  # what is said first of one counts
    events: Sequence[EventRow] = ()  # numbered from `run.last_seq` on
    context: Sequence[ContextRow] = ()
    blobs: Sequence[dict[str, Any]] = ()  # large values


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """What a run is given once, when it is added."""

    labels: Mapping[str, str] = field(default_factory=dict)
    trigger: str
    timeout: float | None = None  # seconds
    forked_from: UUID | None = None
    forked_at: int | None = None  # the last event of the other run that this one takes over


def write(tx: Transaction, run: RunRow, marking: dict[str, Any], decided: Decided) -> None:
    """Writes a run and what was decided about it; the row moves on with its events, its revision and the time.

    Raises Changed, with nothing written, when somebody else has changed the run since it was read.
    """
    texts = _texts(run, decided)
    written = tx.last(_statement(_RUN, tuple(texts)), **texts, **_run(run, marking))
    if written is None:
        raise Changed
    run.revision += 1
    run.now = heard(written["now"])


def add(tx: Transaction, run: RunRow, marking: dict[str, Any], decided: Decided, new: NewRun) -> None:
    """Writes a new run with what was decided about it; one that an earlier try has written is left alone."""
    texts = _texts(run, decided)
    once = {
        "organization": run.organization_id,
        "workflow": run.workflow_id,
        "version": run.version_id,
        "name": run.name,
        "input": run.input,
        "priority": run.priority,
        "labels": _text(dict(new.labels)),
        "trigger": new.trigger,
        "created_by": run.created_by,
        "parent": run.parent_id,
        "parent_node": run.parent_node_id,
        "nesting": run.nesting,
        "timeout": new.timeout,
        "forked_from": new.forked_from,
        "forked_at": new.forked_at,
    }
    tx.last(_statement(_NEW_RUN, tuple(texts)), **texts, **_run(run, marking), **once)


def _texts(run: RunRow, decided: Decided) -> dict[str, str]:
    """Each kind of rows as one text; `run.last_seq` is moved on by the events."""
    records = {
        "made": [_record(row, _ALL) for row in decided.made],
        "changed": [_record(row, _CHANGING) for row in decided.changed],
        "started": [{"id": row.id, "fence": row.fence, "worker": row.worker} for row in decided.started],
        "ended": _ended(decided.ended),
        "events": [_event(event, run.last_seq + place) for place, event in enumerate(decided.events, start=1)],
        "context": [asdict(write) for write in decided.context],
        "blobs": decided.blobs,
    }
    run.last_seq += len(decided.events)
    return {name: orjson.dumps(rows).decode() for name, rows in records.items() if rows}


def insert_context(tx: Transaction, run: UUID, writes: Sequence[ContextRow]) -> None:
    """Adds writes to context keys."""
    if writes:
        tx.execute(_ENTRIES, run=run, context=orjson.dumps([asdict(write) for write in writes]).decode())


@cache
def _statement(run: str, parts: tuple[str, ...]) -> str:
    """The statement for what there is to write; most transitions write one of a handful of combinations."""
    statements = {"run": run} | {part: _PARTS[part] for part in parts}
    written = ", ".join(f"{name} as ({sql})" for name, sql in statements.items())
    return f"with {written} select clock_timestamp() as now from run"


def _run(run: RunRow, marking: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": run.id,
        "status": run.status,
        "marking": _text(marking),
        "last_seq": run.last_seq,
        "revision": run.revision,
        "visits": run.visits,
        "output": run.output,
        "error": _text(run.error),
        "started_at": run.started_at,
        "over": run.status in RUN_ENDED,
    }


def _record(row: NodeRow, columns: Iterable[str]) -> dict[str, Any]:
    record = {name: getattr(row, name) for name in columns}
    return record | {"error": _text(row.error), "state": _text(row.state)}


def _ended(ended: Iterable[EndedAttempt]) -> list[dict[str, Any]]:
    records: dict[tuple[UUID, int], dict[str, Any]] = {}
    for attempt in ended:
        record = {"node_run": attempt.node_run, "fence": attempt.fence, "outcome": attempt.outcome}
        records.setdefault((attempt.node_run, attempt.fence), record | {"error": _text(attempt.error)})
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
