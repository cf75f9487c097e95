"""What a node has answered before."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.workflows.store.database import Transaction
from apps.workflows.store.rows import NodeRow

RUNS = 1_000  # of a workflow that are looked through, the newest
ANSWERS = 20

# The input is compared as it is stored: a large one by its digest.
_EARLIER = """
with runs as (
    select id, version_id from workflows_run where workflow_id = %(workflow)s
    order by created_at desc, id desc limit %(runs)s)
select n.run_id, runs.version_id, n.output, n.finished_at as at, n.state::json ->> 'session' as session
from runs join workflows_noderun n on n.run_id = runs.id and n.node = %(node)s
where n.status = 'completed' and n.output is not null and n.input = %(input)s and n.handler = %(handler)s
    and (n.index >= 0) = %(is_item)s and n.state::json -> 'degraded' is null
    and (%(oldest)s::float8 is null or n.finished_at > clock_timestamp() - make_interval(secs => %(oldest)s::float8))
order by n.finished_at desc limit %(answers)s
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node gave in some run."""

    run_id: UUID
    version_id: UUID
    output: str
    at: datetime
    session: str | None


def earlier(tx: Transaction, workflow: UUID, row: NodeRow, oldest: float | None) -> list[Answer]:
    """The good answers of a workflow's node to the same input, the newest first; none that was degraded."""
    facts = {"node": row.node, "input": row.input, "handler": row.handler, "is_item": row.is_item, "oldest": oldest}
    return [Answer(**one) for one in tx.rows(_EARLIER, workflow=workflow, runs=RUNS, answers=ANSWERS, **facts)]
