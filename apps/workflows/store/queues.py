"""What waits to be executed, and who executes."""

from apps.workflows.store.database import Row, Transaction

_WAITING = """
with open as (
    select n.queue, n.handler, n.status,
        case when n.status in ('queued', 'retrying') and r.status in ('pending', 'running', 'waiting')
            and n.available_at <= clock_timestamp() then n.available_at end as claimable_since
    from workflows_noderun n join workflows_run r on r.id = n.run_id
    where n.status in ('queued', 'retrying', 'running', 'waiting'))
select queue, handler, status, count(*) as count, count(claimable_since) as claimable,
    extract(epoch from clock_timestamp() - min(claimable_since))::float8 as oldest_seconds
from open group by queue, handler, status order by queue, handler, status
"""
_WORKERS = """
select w.name, w.host, w.pid, w.slots, w.leads_recovery, w.version,
    extract(epoch from clock_timestamp() - w.heartbeat_at)::float8 as heartbeat_seconds,
    (select count(*) from workflows_noderun n where n.worker = w.id and n.status = 'running') as busy
from workflows_worker w where w.stopped_at is null order by w.started_at
"""

_HANDLERS = """
select distinct n.handler from workflows_noderun n join workflows_run r on r.id = n.run_id
where n.status in ('queued', 'retrying') and n.available_at <= clock_timestamp()
    and r.status in ('pending', 'running', 'waiting')
"""


def wanted_handlers(tx: Transaction) -> set[str]:
    """The handlers of what could be claimed now."""
    return set(tx.values(_HANDLERS))


def waiting(tx: Transaction) -> list[Row]:
    """Node runs that have not ended, counted by queue, type and status, and how long the oldest could be claimed."""
    return tx.rows(_WAITING)


def workers(tx: Transaction) -> list[Row]:
    """The workers that live, as far as anybody knows, and how many node runs each executes."""
    return tx.rows(_WORKERS)
