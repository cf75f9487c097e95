"""Deciding what a run asks people."""

from uuid import UUID

from apps.common.errors import Conflict, ErrorItem, Invalid, PermissionDenied
from apps.common.json import JSON
from apps.workflows.engine import schemas
from apps.workflows.models import Approval
from apps.workflows.nodes.inline import decided
from apps.workflows.services.acting import act_on_run
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


def _check_assignee(approval: Approval, by: str) -> None:
    names = approval.assignees
    kind, _, name = by.partition(":")
    if names and kind == "user" and name not in names:
        raise PermissionDenied(f"This is for {', '.join(names)} to decide.", code="not_an_assignee")


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
