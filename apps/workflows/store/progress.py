"""Statements that move a run forward. Whoever changes a run or any of its nodes holds the lock on the run's row."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from uuid import UUID

import orjson

from apps.workflows.engine.states import NodeStatus, RunStatus
from apps.workflows.store.clock import heard
from apps.workflows.store.database import Row, Transaction
from apps.workflows.store.rows import NodeRow, RunRow

_RUN_COLUMNS = """
id, organization_id, version_id, workflow_id, name, status, input, marking, priority, last_seq, revision, visits,
nesting, parent_id, parent_node_id, created_by, trigger, started_at, clock_timestamp() as now
"""
_READ_RUN = f"select {_RUN_COLUMNS} from workflows_run where id = %(run)s"
_LOCK_RUN = f"{_READ_RUN} for update"
_NAME_AND_CALLER = "select name, created_by from workflows_run where id = %(run)s"
_RUN_OF_NODE = "select run_id from workflows_noderun where id = %(node)s"

_NODE_STATUS = "select status from workflows_noderun where id = %(node)s"

_NODE_COLUMNS = ", ".join(column.name for column in fields(NodeRow))
_NODE = f"select {_NODE_COLUMNS} from workflows_noderun where id = %(id)s"
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
where parent_id = %(parent)s and index >= %(first)s and status = 'queued' and available_at = '9999-01-01Z'
order by index limit %(limit)s
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
_RENEW_DEADLINE = """
update workflows_run set deadline_at = clock_timestamp() + make_interval(secs => %(seconds)s) where id = %(run)s
"""

_LATEST_VISITS = """
select distinct on (node) node, visit, status, output, error, state::json -> 'degraded' ->> 'step' as degraded
from workflows_noderun
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
        or status = 'waiting' and waiting_for in ('child', 'agent')))
"""
_ITEM_OUTPUTS = """
select index, status, output, error from workflows_noderun where parent_id = %(parent)s order by index
"""


def lock_run(tx: Transaction, run: UUID) -> RunRow | None:
    """The run, locked until the transaction ends; None where there is none."""
    return _run(tx.row(_LOCK_RUN, run=run))


def read_run(tx: Transaction, run: UUID) -> RunRow | None:
    """The run as it is now; None where there is none."""
    return _run(tx.row(_READ_RUN, run=run))


def run_of_node(tx: Transaction, node: UUID) -> UUID | None:
    """The run that a node run belongs to; None where there is none."""
    found: UUID | None = tx.value(_RUN_OF_NODE, node=node)
    return found


def node_status(tx: Transaction, node: UUID) -> str | None:
    """How a node run stands; None when it is gone."""
    found: str | None = tx.value(_NODE_STATUS, node=node)
    return found


def name_and_caller(tx: Transaction, run: UUID) -> tuple[str, str]:
    """The name of a run's workflow, and who started it."""
    row = tx.row(_NAME_AND_CALLER, run=run) or {}
    return row.get("name", ""), row.get("created_by", "")


def nodes(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, NodeRow]:
    """Node runs by id, together with the maps that any of them is an item of."""
    if len(ids) == 1:  # nearly always, and a plan for one id is kept by the server
        (alone,) = ids
        row = tx.row(_NODE, id=alone)
        if row is None or row["parent_id"] is None:
            return {alone: node_row(row)} if row else {}
    return {row["id"]: node_row(row) for row in tx.rows(_NODES, ids=list(ids))}


def open_nodes(tx: Transaction, run: UUID) -> list[NodeRow]:
    """The visits of a run that have not ended."""
    return [node_row(row) for row in tx.rows(_OPEN_NODES, run=run)]


def stopped_nodes(tx: Transaction, run: UUID, visits: Iterable[tuple[str, int]]) -> list[NodeRow]:
    """The failed and cancelled node runs of the given visits, items of maps included, in order."""
    names, numbers = zip(*visits, strict=True)
    return [node_row(row) for row in tx.rows(_STOPPED_NODES, run=run, names=list(names), visits=list(numbers))]


def next_items(tx: Transaction, parent: UUID, first: int, limit: int) -> list[NodeRow]:
    """The items of a map from `first` on that wait for their turn, in order."""
    return [node_row(row) for row in tx.rows(_NEXT_ITEMS, parent=parent, first=first, limit=limit)]


def item_outputs(tx: Transaction, parent: UUID) -> list[Row]:
    """Index, status, output and error of every item of a map, in order."""
    return tx.rows(_ITEM_OUTPUTS, parent=parent)


def latest_visits(tx: Transaction, run: UUID, names: Collection[str] | None) -> list[Row]:
    """The latest visit of each node (None: all) that has ended, or else the latest: status, output, error, degraded."""
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
    parsed = {"status": RunStatus(row["status"]), "marking": orjson.loads(row["marking"]), "now": heard(row["now"])}
    return RunRow(**row | parsed)
