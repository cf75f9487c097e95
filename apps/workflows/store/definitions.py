"""Reading the definition that a run is pinned to, and adding a run."""

from typing import Any
from uuid import UUID

import orjson

from apps.common.json import JSON, dumps
from apps.workflows.store.database import Row, Transaction

_DOCUMENT = "select document from workflows_workflowversion where id = %(version)s"
_RESOLVE = """
select v.id as version_id, v.number, w.id as workflow_id, w.name from workflows_workflow w
join workflows_workflowversion v on v.workflow_id = w.id
    and v.number = coalesce(%(number)s::int, w.published_version, w.latest_version)
where w.organization_id = %(organization)s and w.archived_at is null and w.name = %(name)s
"""
_INSERT_RUN = """
insert into workflows_run (id, organization_id, workflow_id, version_id, name, status, input, marking, priority, labels,
    trigger, created_by, parent_id, parent_node_id, nesting, forked_from_id, forked_at, last_seq, visits, cost_usd,
    tokens, deadline_at)
values (%(id)s, %(organization)s, %(workflow)s, %(version)s, %(name)s, 'pending', %(input)s, '{}', %(priority)s,
    %(labels)s::jsonb, %(trigger)s, %(created_by)s, %(parent)s, %(parent_node)s, %(nesting)s, %(forked_from)s,
    %(forked_at)s, 0, 0, 0, 0,
    clock_timestamp() + make_interval(secs => %(timeout)s::float8))
"""
_ENDED = "select status, output, error, organization_id from workflows_run where id = %(run)s"


def document(tx: Transaction, version: UUID) -> JSON:
    """The canonical document of a version."""
    return orjson.loads(tx.value(_DOCUMENT, version=version))


def resolve(tx: Transaction, organization: UUID, name: str, number: int | None) -> Row | None:
    """The version that runs when a workflow is named: the given number, else the published one, else the newest."""
    return tx.row(_RESOLVE, organization=organization, name=name, number=number)


def insert_run(tx: Transaction, *, labels: dict[str, str] | None = None, **columns: Any) -> None:
    """Adds a run that has not started."""
    optional = {
        "parent": None,
        "parent_node": None,
        "nesting": 0,
        "forked_from": None,
        "forked_at": None,
        "timeout": None,
    }
    tx.execute(_INSERT_RUN, labels=dumps(labels or {}).decode(), **optional | columns)


def outcome(tx: Transaction, run: UUID) -> Row | None:
    """Status, output and error of a run."""
    return tx.row(_ENDED, run=run)
