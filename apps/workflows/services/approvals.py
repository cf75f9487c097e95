"""Deciding what a run asks people."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from apps.common.errors import Conflict, ErrorItem, Invalid, PermissionDenied
from apps.common.json import JSON
from apps.workflows.engine import schemas
from apps.workflows.engine.graph import GraphEdge
from apps.workflows.engine.spec import Node
from apps.workflows.models import Approval
from apps.workflows.nodes.inline import decided
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.transition import people
from apps.workflows.services.transition.transition import Transition

DECISIONS = {"approve": "approved", "reject": "rejected"}


def decide_approval(approval: Approval, *, decision: str, data: dict[str, JSON], comment: str, by: str) -> None:
    """Records a decision and lets the run go on, in one transaction; the first decision counts.

    Raises PermissionDenied for somebody who was not asked, Invalid for data that does not fit the form, and
    Conflict when it has been decided already, saying by whom.
    """
    _check_assignee(approval, by)
    _check_form(approval, decision, data)

    def act(transition: Transition) -> None:
        closed = people.close(transition.tx, approval.pk, status=DECISIONS[decision], data=data, comment=comment, by=by)
        if not closed:
            raise _decided_before(approval.pk)
        transition.read([approval.node_run_id])
        transition.bring(transition.rows[approval.node_run_id], decided(decision, data, comment, by))
        transition.work_in()

    act_on_run(approval.run_id, act)


@dataclass(frozen=True, slots=True)
class Following:
    """A node that a decision leads to."""

    name: str
    spec: Node
    is_certain: bool  # or only if a condition holds


def what_follows(approval: Approval) -> Mapping[str, list[Following]]:
    """For each decision the nodes that the run would go on with; none for a question inside a map."""
    compiled = compiled_version(approval.run.version_id)
    place = compiled.graph.position.get(approval.node_run.node)
    edges = [] if place is None else compiled.graph.outgoing[place]
    return {
        decision: [
            Following(compiled.nodes[edge.target].name, compiled.nodes[edge.target].spec, edge.when is None)
            for edge in edges
            if _may_be_taken(edge, decision)
        ]
        for decision in DECISIONS
    }


def may_decide(approval: Approval, username: str) -> bool:
    """Tell whether the question is for this person to decide, if their role lets them decide at all."""
    return not approval.assignees or username in approval.assignees


def _may_be_taken(edge: GraphEdge, decision: str) -> bool:
    if edge.on == "error" or edge.route not in {None, decision}:
        return False
    # After a rejection an edge that asks nothing is not taken.
    return decision == "approve" or edge.route is not None or edge.when is not None or edge.on == "always"


def _check_assignee(approval: Approval, by: str) -> None:
    kind, _, name = by.partition(":")
    if kind == "user" and not may_decide(approval, name):
        raise PermissionDenied(f"This is for {', '.join(approval.assignees)} to decide.", code="not_an_assignee")


def _check_form(approval: Approval, decision: str, data: dict[str, JSON]) -> None:
    if approval.form is None or decision == "reject":
        return
    issues = schemas.check(data, approval.form, "/data")
    if issues:
        items = [ErrorItem(issue.pointer, issue.code, issue.message, issue.fix) for issue in issues]
        raise Invalid(
            f"The data does not fit the form. {issues[0].pointer}: {issues[0].message}",
            code="invalid_form",
            errors=items,
        )


def _decided_before(approval: UUID) -> Conflict:
    current = Approval.objects.get(pk=approval)
    if current.decided_at is None:
        return Conflict(f"The question is {current.status}; it cannot be decided any more.", code="approval_closed")
    when = current.decided_at.isoformat(timespec="seconds")
    return Conflict(f"Already {current.status} by {current.decided_by} at {when}.", code="already_decided")
