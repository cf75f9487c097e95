"""Worker processes: who lives, who leads, who died.

A worker holds a session-level advisory lock on a connection of its own. When its process dies,
PostgreSQL releases the lock and the others see it at once; the lease on the heartbeat is for frozen
processes and cut networks.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg

from apps.workflows.store.database import Transaction

LOCK_CLASS = 0x6F7263  # "orc": the first key of every advisory lock of ours
LEADER_KEY = 0

_REGISTER = """
insert into workflows_worker (id, name, host, pid, lock_key, slots, handlers, version, leads_recovery, stop_reason)
values (%(id)s, %(name)s, %(host)s, %(pid)s, %(lock_key)s, %(slots)s, %(handlers)s, %(version)s, false, '')
"""
_BEAT = """
update workflows_worker set heartbeat_at = clock_timestamp(), leads_recovery = %(leads)s
where id = %(id)s and stopped_at is null returning id
"""
_REVIVE = """
update workflows_worker set heartbeat_at = clock_timestamp(), stopped_at = null, stop_reason = '' where id = %(id)s
"""
_STOP = """
update workflows_worker set stopped_at = clock_timestamp(), stop_reason = %(reason)s, leads_recovery = false
where id = %(id)s and stopped_at is null
"""
_LIVING = """
with living as (
    select w.id, w.heartbeat_at < clock_timestamp() - make_interval(secs => %(lease)s) as late,
        exists (select 1 from pg_locks l where l.locktype = 'advisory' and l.classid = %(lock_class)s::oid
            and l.objid = w.lock_key::oid and l.granted
            and l.database = (select oid from pg_database where datname = current_database())) as locked
    from workflows_worker w where w.stopped_at is null)
"""
_BURY = f"""
{_LIVING}
update workflows_worker w set stopped_at = clock_timestamp(), leads_recovery = false,
    stop_reason = case when living.locked then 'frozen' else 'dead' end
from living where living.id = w.id and (living.late or not living.locked)
returning w.id, w.name, w.stop_reason
"""
_DEAD = f"{_LIVING} select id from living where late or not locked"
# A frozen leader keeps its lock, and nobody else would take back what it holds.
_DEPOSE = """
select pg_terminate_backend(leader.pid) from pg_locks leader
join pg_locks own on own.pid = leader.pid and own.locktype = 'advisory' and own.classid = leader.classid
join workflows_worker w on w.lock_key::oid = own.objid
where leader.locktype = 'advisory' and leader.classid = %(lock_class)s::oid and leader.objid = %(leader_key)s::oid
    and leader.granted and leader.database = (select oid from pg_database where datname = current_database())
    and w.heartbeat_at < clock_timestamp() - make_interval(secs => %(lease)s)
"""
_FORGET = "delete from workflows_worker where stopped_at < clock_timestamp() - interval '7 days'"
_IS_OPEN = """
select exists (
    select 1 from workflows_noderun where id = %(id)s and status in ('queued', 'retrying', 'running', 'waiting'))
"""
_HELD = "select id, fence from workflows_noderun where id = any(%(ids)s) and status in ('running', 'queued')"


def register(tx: Transaction, **worker: Any) -> None:
    """Adds a worker that has just started."""
    tx.execute(_REGISTER, **worker)


def beat(tx: Transaction, worker: UUID, *, leads: bool) -> bool:
    """Renews the worker's lease; False when the others have given it up for dead."""
    return tx.value(_BEAT, id=worker, leads=leads) is not None


def revive(tx: Transaction, worker: UUID) -> None:
    """Takes a worker back that had been given up."""
    tx.execute(_REVIVE, id=worker)


def stop(tx: Transaction, worker: UUID, reason: str) -> None:
    """Notes that a worker has stopped."""
    tx.execute(_STOP, id=worker, reason=reason)


def bury(tx: Transaction, lease: float) -> list[dict[str, Any]]:
    """Notes which workers have died or frozen since the last look: id, name and reason of each."""
    tx.execute(_FORGET)
    return tx.rows(_BURY, lease=lease, lock_class=LOCK_CLASS)


def depose(tx: Transaction, lease: float) -> bool:
    """Ends the session of a leader whose heartbeat is older than a lease; whether there was one."""
    return bool(tx.values(_DEPOSE, lease=lease, lock_class=LOCK_CLASS, leader_key=LEADER_KEY))


def dead(tx: Transaction, lease: float) -> list[UUID]:
    """The workers that `bury` would note now."""
    return list(tx.values(_DEAD, lease=lease, lock_class=LOCK_CLASS))


def still_held(tx: Transaction, fences: dict[UUID, int]) -> set[UUID]:
    """Those of the node runs that nobody has cancelled, timed out or claimed anew."""
    ids: Sequence[UUID] = list(fences)
    return {row["id"] for row in tx.rows(_HELD, ids=ids) if row["fence"] == fences[row["id"]]}


def is_open(tx: Transaction, node_run: UUID) -> bool:
    """Whether the node run has not ended."""
    return bool(tx.value(_IS_OPEN, id=node_run))


def lock(connection: "psycopg.Connection[Any]", key: int) -> bool:
    """Takes an advisory lock that lives as long as the connection; False when another has it."""
    row = connection.execute("select pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, key)).fetchone()
    return bool(row and row[0])
