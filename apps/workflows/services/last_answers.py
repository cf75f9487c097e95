"""The last good answer of a node to the same input, out of the runs of its workflow that are kept."""

from uuid import UUID

from apps.common.json import JSON, dumps
from apps.workflows.engine.spec import AgentNode
from apps.workflows.services.compiled import compiled_version
from apps.workflows.store import answers, progress
from apps.workflows.store.database import look
from apps.workflows.store.rows import NodeRow
from apps.workflows.store.values import Packer


def last_answer(row: NodeRow, oldest: float | None) -> JSON:
    """Give it as `{output, run, at}`; None where the node, as it is now, has none that is good and young enough."""
    with look() as tx:
        run = progress.read_run(tx, row.run_id)
        if run is None or run.workflow_id is None:
            return None
        found = answers.earlier(tx, run.workflow_id, row, oldest)
        session, asked = _session(row.state.get("session")), _asked(run.version_id, row)
        alike = (one for one in found if one.session == session and _asked(one.version_id, row) == asked)
        last = next(alike, None)
        if last is None:
            return None
        (output,) = Packer(row.organization_id).unpack(tx, [last.output])
    return {"output": output, "run": str(last.run_id), "at": last.at.isoformat()}


def _session(value: JSON) -> str | None:
    """A session as the database reads it out of JSON."""
    return value if value is None or isinstance(value, str) else dumps(value).decode()


def _asked(version: UUID, row: NodeRow) -> tuple[JSON, ...] | None:
    """What of a node in a version its answer depends on beside its input; None where it is no agent."""
    node = compiled_version(version).node(row.node)
    spec = node.body.spec if row.is_item and node.body else node.spec
    return (spec.agent, spec.capability, spec.config, spec.model) if isinstance(spec, AgentNode) else None
