"""The slots of tools that take only so many calls at a time, in every process's sight."""

from collections.abc import Collection
from uuid import UUID

from apps.workflows.store.circuits import Name
from apps.workflows.store.database import Look

# Whether a slot is free is asked of its own row alone, the living workers being a constant: so it is asked again of a
# row that another has taken between the look and the lock. A join would remember how the row was.
_TAKE = """
with free as (
    select id from workflows_slot
    where organization_id = %(organization)s and name = %(name)s and number < %(most)s
        and (holder is null or holder = any(%(ours)s)
            or not worker = any(array(select id from workflows_worker where stopped_at is null)))
    order by holder = %(holder)s desc nulls last, number limit 1 for update skip locked)
update workflows_slot s set holder = %(holder)s, worker = %(worker)s, taken_at = clock_timestamp()
from free where s.id = free.id returning s.number
"""
_GIVE = """
update workflows_slot set holder = null, worker = null where organization_id = %(organization)s and name = %(name)s
    and holder = any(%(holders)s) returning number
"""
# The slots of a host that nobody has called for a day are forgotten.
_ADD = """
with old as (delete from workflows_slot where id in (
    select id from workflows_slot where organization_id = %(organization)s and name <> %(name)s and holder is null
        and taken_at < clock_timestamp() - interval '1 day' for update skip locked))
insert into workflows_slot (id, organization_id, name, number)
select gen_random_uuid(), %(organization)s, %(name)s, number from generate_series(0, %(most)s - 1) as number
on conflict (organization_id, name, number) do nothing returning id
"""


def take(tx: Look, name: Name, *, most: int, worker: UUID, holder: UUID, owed: Collection[UUID]) -> bool:
    """Whether the call has one of the first `most` slots now; those that are `owed` count as given back."""
    ours = [holder, *owed]
    found = tx.last(_TAKE, organization=name[0], name=name[1], most=most, worker=worker, holder=holder, ours=ours)
    return found is not None


def give(tx: Look, name: Name, holders: Collection[UUID]) -> None:
    """Frees the slots of calls that have ended."""
    tx.last(_GIVE, organization=name[0], name=name[1], holders=list(holders))


def add(tx: Look, name: Name, *, most: int) -> bool:
    """Whether there were fewer than `most` slots; now there are so many."""
    return tx.last(_ADD, organization=name[0], name=name[1], most=most) is not None
