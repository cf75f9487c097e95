"""What an agent has finished inside one visit of a node, so that a new attempt does not do it again."""

import time
from dataclasses import dataclass, field
from uuid import UUID

from apps.common.json import JSON
from apps.workflows.store.database import MANY_TRIES, Transaction, patiently, transaction
from apps.workflows.store.rows import NodeRow
from apps.workflows.store.values import Packer

_READ = "select position, name, result from workflows_journalentry where node_run_id = %(node_run)s"
# The lock makes a claim by another worker wait until the entry is there for it to read, and makes this wait until
# such a claim is there to see.
_WRITE = """
insert into workflows_journalentry (node_run_id, position, name, result, started_at)
select id, %(position)s, %(name)s, %(result)s,
    coalesce(now() - make_interval(secs => %(took)s::float8),
        (select max(ended_at) from workflows_attempt where node_run_id = %(node_run)s and outcome = 'waiting'))
from workflows_noderun where id = %(node_run)s and fence = %(fence)s and status in ('running', 'queued') for share
on conflict (node_run_id, position) do update set name = excluded.name returning position
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an agent does: its place in the journal, and when it began by the clock of this process."""

    position: int
    name: str
    began: float | None = field(default_factory=time.monotonic)  # None: in an earlier attempt, which waited for it

    @property
    def took(self) -> float | None:
        """Its seconds until now, where it began in this attempt."""
        return None if self.began is None else time.monotonic() - self.began


def read(organization: UUID, node_run: UUID) -> dict[int, tuple[str, JSON]]:
    """Name and result of every step that was recorded, by position; steps beside each other may leave gaps."""

    def look() -> dict[int, tuple[str, JSON]]:
        with transaction() as tx:
            rows = tx.rows(_READ, node_run=node_run)
            results = Packer(organization).unpack(tx, [row["result"] for row in rows])
        return {row["position"]: (row["name"], result) for row, result in zip(rows, results, strict=True)}

    return patiently(look, tries=MANY_TRIES)


def write(row: NodeRow, step: Step, result: JSON) -> bool:
    """Records a step's result; False when the attempt has been fenced off and may not write any more."""

    def record() -> bool:
        packer = Packer(row.organization_id)
        text = packer.pack(result)
        with transaction() as tx:
            packer.write(tx)
            return add(tx, row, step, text)

    return patiently(record, tries=MANY_TRIES)


def add(tx: Transaction, row: NodeRow, step: Step, text: str) -> bool:
    """Does the same inside a transaction, with a result that has been packed."""
    values = {"position": step.position, "name": step.name[:200], "result": text, "took": step.took}
    return tx.value(_WRITE, node_run=row.id, fence=row.fence, **values) is not None
