"""What an agent has finished inside one visit of a node, so that a new attempt does not do it again."""

from uuid import UUID

from apps.common.json import JSON
from apps.workflows.store.database import MANY_TRIES, Transaction, patiently, transaction
from apps.workflows.store.rows import NodeRow
from apps.workflows.store.values import Packer

_READ = "select position, name, result from workflows_journalentry where node_run_id = %(node_run)s"
# The lock makes a claim by another worker wait until the entry is there for it to read, and makes this wait until
# such a claim is there to see.
_WRITE = """
insert into workflows_journalentry (node_run_id, position, name, result)
select id, %(position)s, %(name)s, %(result)s from workflows_noderun
where id = %(node_run)s and fence = %(fence)s and status in ('running', 'queued') for share
on conflict (node_run_id, position) do update set name = excluded.name returning position
"""


def read(organization: UUID, node_run: UUID) -> dict[int, tuple[str, JSON]]:
    """Name and result of every step that was recorded, by position; steps beside each other may leave gaps."""

    def look() -> dict[int, tuple[str, JSON]]:
        with transaction() as tx:
            rows = tx.rows(_READ, node_run=node_run)
            results = Packer(organization).unpack(tx, [row["result"] for row in rows])
        return {row["position"]: (row["name"], result) for row, result in zip(rows, results, strict=True)}

    return patiently(look, tries=MANY_TRIES)


def write(row: NodeRow, *, position: int, name: str, result: JSON) -> bool:
    """Records a step's result; False when the attempt has been fenced off and may not write any more."""

    def record() -> bool:
        packer = Packer(row.organization_id)
        text = packer.pack(result)
        with transaction() as tx:
            packer.write(tx)
            return add(tx, row, position, name, text)

    return patiently(record, tries=MANY_TRIES)


def add(tx: Transaction, row: NodeRow, position: int, name: str, text: str) -> bool:
    """Does the same inside a transaction, with a result that has been packed."""
    values = {"position": position, "name": name[:200], "result": text}
    return tx.value(_WRITE, node_run=row.id, fence=row.fence, **values) is not None
