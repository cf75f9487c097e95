"""The circuits that are in trouble, in every process's sight. Times go out and in as seconds from now."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from apps.common.ids import uuid7
from apps.workflows.engine.pacing import BreakerPolicy, rest_of
from apps.workflows.store.database import Transaction

Name = tuple[UUID, str]  # an organization, and a tool with what it calls

# A failure of a call that began before the circuit opened does not open it for longer. What has been quiet for an hour
# is forgotten.
_FAIL = """
with old as (delete from workflows_circuit where changed_at < clock_timestamp() - interval '1 hour'
    and (organization_id, name) <> (%(organization)s, %(name)s))
insert into workflows_circuit as c (id, organization_id, name, failures, last_failure, openings, changed_at)
values (%(id)s, %(organization)s, %(name)s, 1, %(message)s, 0, clock_timestamp())
on conflict (organization_id, name) do update set changed_at = clock_timestamp(), probe_until = null,
    last_failure = excluded.last_failure,
    failures = case when c.changed_at < clock_timestamp() - interval '1 hour' then 1 else c.failures + 1 end,
    openings = case when c.changed_at < clock_timestamp() - interval '1 hour' then 0 else c.openings end
returning failures, openings, open_until > clock_timestamp() as is_open
"""
_OPEN = """
update workflows_circuit set openings = openings + 1, open_until = clock_timestamp() + make_interval(secs => %(rest)s)
where organization_id = %(organization)s and name = %(name)s and openings = %(openings)s
"""
# An answer to a call that began before the circuit opened does not close it.
_SUCCEED = """
delete from workflows_circuit where organization_id = %(organization)s and name = %(name)s
    and (open_until is null or open_until <= clock_timestamp())
"""
_PROBE = """
update workflows_circuit set probe_until = clock_timestamp() + make_interval(secs => %(probe)s)
where organization_id = %(organization)s and name = %(name)s and open_until <= clock_timestamp()
    and (probe_until is null or probe_until <= clock_timestamp())
returning id
"""
_TROUBLED = """
select organization_id, name, extract(epoch from greatest(open_until, probe_until) - clock_timestamp())::float8 as rest,
    open_until is not null as opened, last_failure
from workflows_circuit
"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is known of a circuit that is not well."""

    opens_in: float | None  # seconds until a call may go through; below 0: one may now; None: all may
    last_failure: str  # its message


def fail(tx: Transaction, circuit: Name, message: str, policy: BreakerPolicy) -> None:
    """Notes a call that failed as retryable, with what it said, and opens the circuit when it was one too many."""
    organization, name = circuit
    row = tx.row(_FAIL, id=uuid7(), organization=organization, name=name, message=message)
    if row and row["failures"] >= policy.failures and not row["is_open"]:
        rest = rest_of(policy, row["openings"] + 1)
        tx.execute(_OPEN, organization=organization, name=name, openings=row["openings"], rest=rest)


def succeed(tx: Transaction, circuit: Name) -> None:
    """Notes a call that was answered: the circuit is well."""
    tx.execute(_SUCCEED, organization=circuit[0], name=circuit[1])


def probe(tx: Transaction, circuit: Name, policy: BreakerPolicy) -> bool:
    """Whether the caller is the one that may try an open circuit whose rest is over."""
    return tx.value(_PROBE, organization=circuit[0], name=circuit[1], probe=policy.probe) is not None


def troubled(tx: Transaction) -> Iterator[tuple[Name, Trouble]]:
    """Every circuit that is not well."""
    for row in tx.rows(_TROUBLED):
        yield (
            (row["organization_id"], row["name"]),
            Trouble(row["rest"] if row["opened"] else None, row["last_failure"]),
        )
