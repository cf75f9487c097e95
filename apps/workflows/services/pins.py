"""Pinned outputs: what nodes gave in a run, kept with a draft so that its runs use it instead of running them."""

from collections.abc import Iterator

from django.db import transaction

from apps.common.errors import Conflict
from apps.common.json import JSON, dumps
from apps.workflows.engine.states import NodeStatus
from apps.workflows.models import Draft, NodeRun, Run
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.drafts import Content, locked_draft, save_draft
from apps.workflows.store.values import read_value

MOST_PINS = 200
MOST_BYTES = 64 * 1024  # of one of them: the builder sends all of a draft with every save


@transaction.atomic
def pin_run(run: Run, *, by: str) -> Draft:
    """Pin what the finished nodes of a run gave, in the draft of its workflow; what else it has stays."""
    if run.workflow is None:
        raise Conflict("The run has no workflow that could be edited: its definition came with it.", code="no_workflow")
    draft = locked_draft(run.workflow)
    known = draft.document.get("nodes") or {}
    found = {name: output for name, output in _outputs(run) if name in known}
    if not found:
        message = "Nothing of this run can be pinned: no node that the draft has finished with an object."
        raise Conflict(message, code="nothing_to_pin")
    pins = (draft.layout.get("pins") or {}) | found
    return save_draft(draft, Content(draft.document, draft.source, draft.layout | {"pins": pins}), by=by)


def _outputs(run: Run) -> Iterator[tuple[str, JSON]]:
    """The latest output of each node, as far as it is an object that a draft may carry."""
    compiled = compiled_version(run.version_id)
    graph = compiled.graph
    # What is pinned takes no route, so whoever chooses one goes on choosing.
    choosing = {graph.nodes[edge.source] for edge in graph.edges if edge.route}
    visits = NodeRun.objects.filter(run=run, index=-1, status=NodeStatus.COMPLETED).exclude(node__in=choosing)
    for visit in visits.order_by("node", "-visit").distinct("node")[:MOST_PINS]:
        output = read_value(run.organization_id, visit.output)
        if isinstance(output, dict) and len(dumps(output)) <= MOST_BYTES:
            yield visit.node, output
