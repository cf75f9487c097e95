"""What came of the runs, from the rows alone."""

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row

from orchestra.chaos import work
from orchestra.chaos.load import Submitted

ENDED = ("completed", "failed", "cancelled")

_RUNS = """
select r.id::text as id, r.status, r.input, r.output, r.last_seq, r.labels ->> 'number' as number,
    extract(epoch from r.finished_at)::float8 as finished_at,
    (select count(*) from workflows_noderun n where n.run_id = r.id) as nodes,
    (select count(*) from workflows_noderun n where n.run_id = r.id and n.status = 'completed') as completed,
    (select count(*) from workflows_runevent e where e.run_id = r.id) as events,
    (select count(*) from workflows_runevent e where e.run_id = r.id and e.type = 'node.completed') as completions
from workflows_run r where r.name = %(name)s
"""
_TWICE = """
select n.run_id::text as run, n.node, n.visit, n.index from workflows_noderun n
join workflows_run r on r.id = n.run_id
join workflows_attempt a on a.node_run_id = n.id and a.outcome = 'completed'
where r.name = %(name)s group by n.id having count(*) > 1
"""
_TWICE_TOLD = """
select e.run_id::text as run, e.node, e.visit, e.index from workflows_runevent e join workflows_run r on r.id = e.run_id
where r.name = %(name)s and e.type = 'node.completed' group by 1, 2, 3, 4 having count(*) > 1
"""
_AGAIN = """
select n.run_id::text as run, n.node, n.visit, n.index from workflows_noderun n
join workflows_run r on r.id = n.run_id
join workflows_attempt done on done.node_run_id = n.id and done.outcome = 'completed'
where r.name = %(name)s
    and exists (select 1 from workflows_attempt a where a.node_run_id = n.id and a.fence > done.fence)
"""
_LOST = """
select w.pid, extract(epoch from next.started_at)::float8 as next_at from workflows_attempt a
join workflows_noderun n on n.id = a.node_run_id join workflows_run r on r.id = n.run_id
join workflows_worker w on w.id = a.worker
cross join lateral (select started_at from workflows_attempt next
    where next.node_run_id = a.node_run_id and next.fence > a.fence order by next.fence limit 1) next
where a.outcome = 'lost' and r.name = %(name)s
"""
_OUTCOMES = """
select a.outcome, count(*) as count from workflows_attempt a join workflows_noderun n on n.id = a.node_run_id
join workflows_run r on r.id = n.run_id where r.name = %(name)s group by 1
"""
_OPEN = "select count(*) from workflows_run where name = %(name)s and finished_at is null"
_ENDED = "select count(*) from workflows_run where name = %(name)s and finished_at is not null"


@dataclass(frozen=True)
class Happening:
    """A fault that was done: when (this machine's clock, which its PostgreSQL shares), which, and to which process."""

    at: float
    fault: str
    target: str = ""
    pid: int | None = None


@dataclass
class Verdict:
    """What was asked for, and what of it is wrong."""

    accepted: int
    completed: int
    lost: list[str]  # accepted, and not there or not ended
    wrong: list[str]  # ended in another way or with another output than it has to
    duplicated: list[str]  # completions of one visit that were accepted twice, and submits that made two runs
    repeated: list[str]  # nodes that were started again after they had completed
    broken: list[str]  # histories with a gap, nodes that are missing or too many
    attempts: dict[str, int]  # by how they ended
    resumed: dict[str, list[float]]  # seconds from a fault to the next attempt of what it had hit
    finished_at: list[float] = field(repr=False)

    @property
    def harmless(self) -> bool:
        """Whether nothing was lost and nothing done twice."""
        return not (self.lost or self.wrong or self.duplicated or self.repeated or self.broken)


class Rows:
    """The rows of one database about the runs of one workflow."""

    def __init__(self, database_url: str, name: str = work.NAME) -> None:
        self.database_url, self.name, self._last = database_url, name, 0

    def open(self) -> int:
        """How many runs have not ended."""
        return int(self._ask(_OPEN)[0]["count"])

    def ended(self) -> int:
        """How many runs have ended, or had when the database answered last."""
        with suppress(psycopg.Error):
            self._last = int(self._ask(_ENDED)[0]["count"])
        return self._last

    def judge(self, submitted: Submitted, happenings: Sequence[Happening]) -> Verdict:
        """Compare what clients were told with what there is."""
        runs = {row["id"]: row for row in self._ask(_RUNS)}
        accepted = {run: number for number, run in submitted.accepted.items()}
        twice = [*self._ask(_TWICE), *self._ask(_TWICE_TOLD)]
        return Verdict(
            accepted=len(accepted),
            completed=sum(row["status"] == "completed" for row in runs.values()),
            lost=sorted(run for run in accepted if run not in runs or runs[run]["status"] not in ENDED),
            wrong=[_tell(row) for row in runs.values() if row["status"] in ENDED and not _is_right(row)],
            duplicated=sorted({_place(row) for row in twice}) + list(_submitted_twice(runs.values())),
            repeated=[_place(row) for row in self._ask(_AGAIN)],
            broken=[_tell(row) for row in runs.values() if row["status"] == "completed" and not _is_whole(row)],
            attempts={row["outcome"] or "open": row["count"] for row in self._ask(_OUTCOMES)},
            resumed=_resumed(self._ask(_LOST), happenings),
            finished_at=[row["finished_at"] for row in runs.values() if row["finished_at"] is not None],
        )

    def _ask(self, sql: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.database_url, row_factory=dict_row, connect_timeout=5) as connection:
            return connection.execute(sql.encode(), {"name": self.name}).fetchall()


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that this share of them does not exceed; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _is_right(row: dict[str, Any]) -> bool:
    expected = work.expected(int(row["number"]))
    return bool(row["status"] == "completed" and orjson.loads(row["output"]) == expected)


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether every node ran once, the join too, and the history has no gap (its numbers are unique anyway)."""
    once = row["nodes"] == row["completed"] == row["completions"] == work.NODES
    return bool(once and row["events"] == row["last_seq"])


def _submitted_twice(runs: Iterable[dict[str, Any]]) -> Iterable[str]:
    seen: set[str] = set()
    for row in runs:
        if row["number"] in seen:
            yield f"submit {row['number']}: run {row['id']}"
        seen.add(row["number"])


def _resumed(lost: Iterable[dict[str, Any]], happenings: Sequence[Happening]) -> dict[str, list[float]]:
    """By fault: for each attempt that was lost with a process, the time from the fault to the next attempt."""
    hit = {happening.pid: happening for happening in happenings if happening.pid is not None}
    resumed: dict[str, list[float]] = {}
    for row in lost:
        if (happening := hit.get(row["pid"])) is not None:
            resumed.setdefault(happening.fault, []).append(row["next_at"] - happening.at)
    return resumed


def _tell(row: dict[str, Any]) -> str:
    counts = f"{row['completed']} of {row['nodes']} nodes, {row['completions']} completions, {row['events']} events"
    return (
        f"run {row['id']} ({row['number']}): {row['status']}, {counts}, last event {row['last_seq']}, {row['output']}"
    )


def _place(row: dict[str, Any]) -> str:
    return f"run {row['run']}: {row['node']} #{row['visit']}[{row['index']}]"
