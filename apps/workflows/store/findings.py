"""What the recovery would find now, looked at without changing anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.workflows.store.database import Transaction
from apps.workflows.store.recovery import BATCH

# The conditions are those of `store.recovery`.
_NODES = """
select found.kind, n.id as node_run, r.id as run, r.name as workflow, n.node, n.visit, n.index, n.lost_count,
    w.name as worker
from (
    select 'lost' as kind, n.id from workflows_noderun n join workflows_worker w on w.id = n.worker
        where n.status = 'running' and (w.stopped_at is not null or w.id = any(%(dead)s))
    union all
    select 'timed_out', id from workflows_noderun
        where status = 'running' and deadline_at < clock_timestamp() - interval '1 second'
    union all
    select 'due', n.id from workflows_noderun n join workflows_run r on r.id = n.run_id
        where n.status = 'waiting' and n.available_at <= clock_timestamp()
        and r.status in ('pending', 'running', 'waiting')
    union all
    select 'child_ended', n.id from workflows_noderun n join workflows_run c on c.parent_node_id = n.id
        where n.status = 'waiting' and n.waiting_for = 'child' and c.id::text = n.state::json ->> 'child'
        and c.status in ('completed', 'failed', 'cancelled')
        and c.finished_at < clock_timestamp() - interval '2 seconds'
    union all
    select 'agent_ended', n.id from workflows_noderun n
        join agents_agenttask t on t.id = (n.state::json ->> 'task')::uuid
        where n.status = 'waiting' and n.waiting_for = 'agent' and t.state in ('completed', 'failed', 'withdrawn')
        and t.finished_at < clock_timestamp() - interval '2 seconds'
    union all
    select 'unhinted', n.id from workflows_noderun n join workflows_run r on r.id = n.run_id
        where n.status in ('queued', 'retrying') and n.available_at <= clock_timestamp()
        and r.status in ('pending', 'running', 'waiting')
        and (n.hinted_at is null or n.hinted_at < n.available_at
            or n.hinted_at < clock_timestamp() - make_interval(secs => %(hint_again)s))
) found
join workflows_noderun n on n.id = found.id join workflows_run r on r.id = n.run_id
left join workflows_worker w on w.id = n.worker
order by found.kind, n.id limit %(limit)s
"""
_RUNS = """
select 'run_timed_out' as kind, id as run, name as workflow from workflows_run
where deadline_at < clock_timestamp() and status in ('pending', 'running', 'waiting', 'paused')
union all
select 'orphaned', c.id, c.name from workflows_run c join workflows_noderun n on n.id = c.parent_node_id
where c.status in ('pending', 'running', 'waiting', 'paused') and n.status in ('completed', 'failed', 'cancelled')
limit %(limit)s
"""


@dataclass(frozen=True)
class Finding:
    """Something that the recovery has to see to."""

    kind: str
    run: UUID
    workflow: str
    node_run: UUID | None = None
    node: str = ""
    visit: int = 0
    index: int = -1
    lost_count: int = 0
    worker: str | None = None


def findings(tx: Transaction, dead: Sequence[UUID], hint_again: float) -> list[Finding]:
    """Everything that waits for the recovery, given which workers are dead without having been noted."""
    nodes = tx.rows(_NODES, dead=list(dead), hint_again=hint_again, limit=BATCH)
    return [Finding(**row) for row in [*nodes, *tx.rows(_RUNS, limit=BATCH)]]
