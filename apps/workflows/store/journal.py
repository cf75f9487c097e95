"""What an agent has finished inside one visit of a node, so that a new attempt does not do it again."""

from uuid import UUID

from apps.common.json import JSON
from apps.workflows.store.database import patiently, transaction
from apps.workflows.store.values import Packer

_READ = "select position, name, result from workflows_journalentry where node_run_id = %(node_run)s order by position"
_WRITE = """
insert into workflows_journalentry (node_run_id, position, name, result)
select id, %(position)s, %(name)s, %(result)s from workflows_noderun
where id = %(node_run)s and fence = %(fence)s and status in ('running', 'queued')
on conflict (node_run_id, position) do update set name = excluded.name returning position
"""


def read(organization: UUID, node_run: UUID) -> list[tuple[str, JSON]]:
    """Name and result of every step that was recorded, in order."""
    with transaction() as tx:
        rows = tx.rows(_READ, node_run=node_run)
        results = Packer(organization).unpack(tx, [row["result"] for row in rows])
    return [(row["name"], result) for row, result in zip(rows, results, strict=True)]


def write(organization: UUID, node_run: UUID, *, fence: int, position: int, name: str, result: JSON) -> bool:
    """Records a step's result; False when the attempt has been fenced off and may not write any more."""

    def add() -> bool:
        packer = Packer(organization)
        packed = packer.pack(result)
        with transaction() as tx:
            packer.write(tx)
            written = tx.value(
                _WRITE, node_run=node_run, fence=fence, position=position, name=name[:200], result=packed
            )
        return written is not None

    return patiently(add)
