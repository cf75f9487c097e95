"""Runs that ended long ago, and deleting them with everything that belongs to them.

A run is found by the age of its id, from the oldest on, so a look costs what it finds. Nobody is waited for: a run
that somebody holds is passed over.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.common.ids import lowest_uuid7
from apps.workflows.store.database import Transaction

_ENDED = "('completed', 'failed', 'cancelled')"
_ROOTS = f"""
select id from workflows_run
where id > %(after)s and id < %(lowest)s and parent_id is null and status in {_ENDED} and finished_at < %(before)s
order by id limit %(limit)s
"""
_TREES = """
with recursive tree as (
    select id, id as root from workflows_run where id = any(%(roots)s)
    union all
    select c.id, t.root from tree t join workflows_run c on c.parent_id = t.id)
select t.root, t.id as run, r.last_seq as events, r.status in ('completed', 'failed', 'cancelled') as ended,
    exists (select from workflows_effect e where e.run_id = t.id and e.state in ('sent', 'unknown')) as undecided
from tree t join workflows_run r on r.id = t.id order by t.root, t.id
"""
_HELD = f"""
select id from workflows_run where id = any(%(runs)s) and status in {_ENDED} for update skip locked
"""
_OF_NODES = "node_run_id in (select id from workflows_noderun where run_id = any(%(runs)s))"
# What points comes before what it points to. A fork has copies of all it took over and loses no more than the pointer.
_DELETIONS = (
    "delete from observability_logline where run_id = any(%(runs)s)",
    "delete from agents_agentdecision where run_id = any(%(runs)s)",
    "delete from agents_agenttask where run_id = any(%(runs)s)",
    f"delete from workflows_journalentry where {_OF_NODES}",
    f"delete from workflows_attempt where {_OF_NODES}",
    "delete from workflows_effect where run_id = any(%(runs)s)",
    "delete from workflows_approval where run_id = any(%(runs)s)",
    "delete from workflows_signal where run_id = any(%(runs)s)",
    "delete from workflows_contextentry where run_id = any(%(runs)s)",
    "delete from workflows_runevent where run_id = any(%(runs)s)",
    "update workflows_schedulefire set run_id = null where run_id = any(%(runs)s)",
    "update workflows_run set forked_from_id = null where forked_from_id = any(%(runs)s)",
    "delete from workflows_noderun where run_id = any(%(runs)s)",
    "delete from workflows_run where id = any(%(runs)s)",
)


@dataclass(frozen=True)
class Tree:
    """A run that no run started, with all that it and they started."""

    root: UUID
    runs: tuple[UUID, ...]
    events: int  # of all of them: about how many rows it has
    kept: bool  # one of them goes on, or has an effect of which nobody knows whether it happened


def trees(tx: Transaction, before: datetime, *, after: UUID, limit: int) -> list[Tree]:
    """The next trees whose root ended before a moment, from the oldest on."""
    bounds = {"before": before, "lowest": lowest_uuid7(before), "after": after, "limit": limit}
    roots = tx.values(_ROOTS, **bounds)
    found: dict[UUID, list[dict[str, object]]] = {root: [] for root in roots}
    for row in tx.rows(_TREES, roots=roots) if roots else ():
        found[row["root"]].append(row)
    return [_tree(root, rows) for root, rows in found.items()]


def _tree(root: UUID, rows: Sequence[dict[str, object]]) -> Tree:
    return Tree(
        root=root,
        runs=tuple(row["run"] for row in rows),  # type: ignore[misc]
        events=sum(row["events"] for row in rows),  # type: ignore[misc]
        kept=any(row["undecided"] or not row["ended"] for row in rows),
    )


def hold(tx: Transaction, runs: Collection[UUID]) -> set[UUID]:
    """Those of the runs that have ended and that nobody else works on, held until the transaction ends."""
    return set(tx.values(_HELD, runs=list(runs)))


def delete(tx: Transaction, runs: Collection[UUID]) -> None:
    """Deletes whole trees of runs."""
    for statement in _DELETIONS:
        tx.execute(statement, runs=list(runs))
