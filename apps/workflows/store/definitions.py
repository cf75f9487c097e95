"""Reading the definition that a run is pinned to, and what became of a run."""

from uuid import UUID

import orjson

from apps.common.json import JSON
from apps.workflows.store.database import Row, Transaction

_DOCUMENT = "select document from workflows_workflowversion where id = %(version)s"
_RESOLVE = """
select v.id as version_id, v.number, w.id as workflow_id, w.name from workflows_workflow w
join workflows_workflowversion v on v.workflow_id = w.id
    and v.number = coalesce(%(number)s::int, w.published_version, w.latest_version)
where w.organization_id = %(organization)s and w.archived_at is null and w.name = %(name)s
"""
_ENDED = "select status, output, error, organization_id from workflows_run where id = %(run)s"


def document(tx: Transaction, version: UUID) -> JSON:
    """The canonical document of a version."""
    return orjson.loads(tx.value(_DOCUMENT, version=version))


def resolve(tx: Transaction, organization: UUID, name: str, number: int | None) -> Row | None:
    """The version that runs when a workflow is named: the given number, else the published one, else the newest."""
    return tx.row(_RESOLVE, organization=organization, name=name, number=number)


def outcome(tx: Transaction, run: UUID) -> Row | None:
    """Status, output and error of a run."""
    return tx.row(_ENDED, run=run)
