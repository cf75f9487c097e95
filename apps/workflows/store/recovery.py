"""Questions of the recovery: what is claimable, due, late or held by the dead. Each takes a bounded batch."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from apps.workflows.store.database import Transaction

BATCH = 200
ORGANIZATIONS = 8  # that one look sees; the next look begins with the next one
HINTS = 25  # for one organization in one look
NOBODY = UUID(int=0)

# The organizations that have something queued, from one on and round, by a jump in the index for each.
_QUEUED = """
select organization_id from workflows_noderun
where status in ('queued', 'retrying') and available_at <= clock_timestamp()
"""
_NEXT = f"""
select coalesce(
    ({_QUEUED} and organization_id > %s order by organization_id limit 1),
    ({_QUEUED} order by organization_id limit 1)) as organization_id
"""
_TURNS = f"""
with recursive turns as (
    select 1 as place, o.organization_id as first, o.organization_id from ({_NEXT % "%(after)s"}) o
    where o.organization_id is not null
    union all
    select t.place + 1, t.first, o.organization_id from turns t, lateral ({_NEXT % "t.organization_id"}) o
    where t.place < %(organizations)s and o.organization_id <> t.first)
"""
_OPEN = """
n.organization_id = t.organization_id and n.status in ('queued', 'retrying') and n.available_at <= clock_timestamp()
and r.status in ('pending', 'running', 'waiting')
"""
_BEST_FIRST = "order by n.priority desc, n.available_at, n.id limit %(limit)s"
_OFFERS = f"""
{_TURNS}
select o.id as node_run, o.run_id as run, t.organization_id as organization from turns t left join lateral (
    select n.id, n.run_id, row_number() over (order by n.priority desc, n.available_at, n.id) as round
    from workflows_noderun n join workflows_run r on r.id = n.run_id
    where {_OPEN} and n.handler = any(%(handlers)s)
        and (%(losses)s::int is null or n.lost_count < %(losses)s) {_BEST_FIRST}) o
on %(share)s::int is null or %(share)s > (
    select count(*) from workflows_noderun b where b.status = 'running' and b.organization_id = t.organization_id)
order by o.round, t.place limit %(limit)s
"""
# Nobody is told of what nobody could execute; it is found by the poll of the first worker that can.
_UNHINTED = f"""
{_TURNS}, elsewhere as (select unnest(handlers) as name from workflows_worker where stopped_at is null)
update workflows_noderun set hinted_at = clock_timestamp()
where id in (
    select o.id from turns t, lateral (
        select n.id from workflows_noderun n join workflows_run r on r.id = n.run_id
        where {_OPEN} and (n.handler = any(%(handlers)s) or n.handler = any(array(select name from elsewhere)))
            and (n.hinted_at is null or n.hinted_at < n.available_at
            or n.hinted_at < clock_timestamp() - make_interval(secs => %(seconds)s))
        {_BEST_FIRST} for update of n skip locked) o
    limit %(most)s)
returning id, queue
"""
_UNSERVED_AGENTS = """
select distinct n.organization_id, n.handler from workflows_noderun n
where n.status in ('queued', 'retrying') and n.available_at <= clock_timestamp() and n.handler like 'agent:%%'
    and not n.handler = any(%(handlers)s)
limit %(limit)s
"""
_RENAME_HANDLER = """
with free as (
    select id from workflows_noderun
    where organization_id = %(organization)s and status in ('queued', 'retrying') and handler = %(handler)s
    for update skip locked),
renamed as (
    update workflows_noderun n set handler = %(now)s from free where n.id = free.id returning n.id)
select count(*) from renamed
"""
_DUE = """
select n.id, n.run_id from workflows_noderun n join workflows_run r on r.id = n.run_id
where n.status = 'waiting' and n.waiting_for = any(array['time', 'event', 'approval', 'child', 'items', 'agent'])
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


@dataclass(frozen=True, slots=True)
class Offer:
    """A node run that may be claimed, and whose it is."""

    node_run: UUID
    run: UUID
    organization: UUID


def offers(
    tx: Transaction,
    handlers: Collection[str],
    limit: int,
    *,
    after: UUID = NOBODY,
    share: int | None = None,
    losses: int | None = None,
) -> tuple[list[Offer], UUID]:
    """Node runs that a worker with these handlers may claim now: the best of each organization, then the second bests.

    The organization that follows `after` comes first, and the second value is the `after` of the next look: so all
    have their turn, and one that has queued thousands cannot make another's first wait. Priorities count within an
    organization. One that has `share` nodes running is left out, and so is a node run with so many `losses`.
    """
    bounds = {"limit": limit, "organizations": ORGANIZATIONS, "share": share, "losses": losses}
    rows = tx.rows(_OFFERS, handlers=list(handlers), after=after, **bounds)
    found = [Offer(**row) for row in rows if row["node_run"]]
    seen = [row["organization"] for row in rows]
    return found, found[0].organization if found else seen[-1] if seen else after


def claimable(tx: Transaction, handlers: Collection[str], limit: int) -> list[UUID]:
    """The same from the first organization on, without the organizations."""
    return [offer.node_run for offer in offers(tx, handlers, limit)[0]]


def unserved_agents(tx: Transaction, handlers: Collection[str]) -> list[tuple[UUID, str]]:
    """Organizations and the handlers of agents that are wanted there and that a worker with these does not have."""
    rows = tx.rows(_UNSERVED_AGENTS, handlers=list(handlers), limit=BATCH)
    return [(row["organization_id"], row["handler"]) for row in rows]


def rename_handler(tx: Transaction, organization: UUID, handler: str, now: str) -> int:
    """Gives what is queued for one handler another one; how many node runs that were."""
    return int(tx.value(_RENAME_HANDLER, organization=organization, handler=handler, now=now))


def unhinted(tx: Transaction, handlers: Collection[str], after: float) -> list[tuple[UUID, str]]:
    """Node runs for these handlers or another worker's, not told of for `after` seconds, noted as told now."""
    bounds = {"limit": HINTS, "most": BATCH, "after": NOBODY, "organizations": BATCH}
    rows = tx.rows(_UNHINTED, handlers=list(handlers), seconds=after, **bounds)
    return [(row["id"], row["queue"]) for row in rows]


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
