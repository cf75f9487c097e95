"""Questions of the recovery: what is claimable, due, late or held by the dead. Each takes a bounded batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.workflows.store.database import Transaction

BATCH = 200

_CLAIMABLE = """
select n.id from workflows_noderun n join workflows_run r on r.id = n.run_id
where n.status in ('queued', 'retrying') and n.available_at <= clock_timestamp()
    and r.status in ('pending', 'running', 'waiting') and n.handler = any(%(handlers)s)
order by n.priority desc, n.available_at, n.id limit %(limit)s
"""
_UNHINTED = """
update workflows_noderun set hinted_at = clock_timestamp()
where id in (
    select n.id from workflows_noderun n join workflows_run r on r.id = n.run_id
    where n.status in ('queued', 'retrying') and n.available_at <= clock_timestamp()
        and r.status in ('pending', 'running', 'waiting')
        and (n.hinted_at is null or n.hinted_at < n.available_at
            or n.hinted_at < clock_timestamp() - make_interval(secs => %(after)s))
    order by n.priority desc, n.available_at, n.id limit %(limit)s for update of n skip locked)
returning id, queue
"""
_DUE = """
select n.id, n.run_id from workflows_noderun n join workflows_run r on r.id = n.run_id
where n.status = 'waiting' and n.waiting_for = any(array['time', 'event', 'approval', 'child', 'items'])
    and n.available_at <= clock_timestamp() and r.status in ('pending', 'running', 'waiting')
order by n.available_at limit %(limit)s
"""
_OVERDUE = """
select id, run_id from workflows_noderun
where status = 'running' and deadline_at < clock_timestamp() - interval '1 second' limit %(limit)s
"""
_LATE_RUNS = """
select id from workflows_run
where deadline_at < clock_timestamp() and status in ('pending', 'running', 'waiting', 'paused') limit %(limit)s
"""
_FINISHED_CHILDREN = """
select n.id from workflows_noderun n join workflows_run c on c.parent_node_id = n.id
where n.status = 'waiting' and n.waiting_for = 'child' and c.id::text = n.state::json ->> 'child'
    and c.status in ('completed', 'failed', 'cancelled') and c.finished_at < clock_timestamp() - interval '2 seconds'
limit %(limit)s
"""
_ORPHANS = """
select c.id from workflows_run c join workflows_noderun n on n.id = c.parent_node_id
where c.status in ('pending', 'running', 'waiting', 'paused')
    and (n.status in ('completed', 'failed', 'cancelled') or n.state::json ->> 'child' is distinct from c.id::text)
    and (%(parent)s::uuid is null or c.parent_id = %(parent)s)
limit %(limit)s
"""
_LOST = """
select n.id, n.run_id from workflows_noderun n join workflows_worker w on w.id = n.worker
where n.status = 'running' and w.stopped_at is not null limit %(limit)s
"""
_HELD_BY = "select id, run_id from workflows_noderun where status = 'running' and worker = %(worker)s"


@dataclass(frozen=True, slots=True)
class Place:
    """A node run and its run."""

    node_run: UUID
    run: UUID


def claimable(tx: Transaction, handlers: Sequence[str], limit: int) -> list[UUID]:
    """Node runs that a worker with these handlers may claim now, the most urgent first."""
    return list(tx.values(_CLAIMABLE, handlers=list(handlers), limit=limit))


def unhinted(tx: Transaction, after: float) -> list[tuple[UUID, str]]:
    """Claimable node runs of which workers have not been told for `after` seconds, noted as told now."""
    return [(row["id"], row["queue"]) for row in tx.rows(_UNHINTED, after=after, limit=BATCH)]


def due(tx: Transaction) -> list[Place]:
    """Waiting node runs whose time has come."""
    return [Place(row["id"], row["run_id"]) for row in tx.rows(_DUE, limit=BATCH)]


def overdue(tx: Transaction) -> list[Place]:
    """Running node runs that are past their time-out and whose worker has not ended them."""
    return [Place(row["id"], row["run_id"]) for row in tx.rows(_OVERDUE, limit=BATCH)]


def late_runs(tx: Transaction) -> list[UUID]:
    """Runs that are past their time-out."""
    return list(tx.values(_LATE_RUNS, limit=BATCH))


def finished_children(tx: Transaction) -> list[UUID]:
    """Node runs that wait for a child run that has ended."""
    return list(tx.values(_FINISHED_CHILDREN, limit=BATCH))


def orphans(tx: Transaction, parent: UUID | None = None) -> list[UUID]:
    """Child runs that go on although the node that waited for them has ended; of one run or of all."""
    return list(tx.values(_ORPHANS, parent=parent, limit=BATCH))


def held_by(tx: Transaction, worker: UUID) -> list[Place]:
    """Node runs that a worker holds, as far as the table knows."""
    return [Place(row["id"], row["run_id"]) for row in tx.rows(_HELD_BY, worker=worker)]


def lost(tx: Transaction) -> list[Place]:
    """Node runs held by workers that are known to have stopped."""
    return [Place(row["id"], row["run_id"]) for row in tx.rows(_LOST, limit=BATCH)]
