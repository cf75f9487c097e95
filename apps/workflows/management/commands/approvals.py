from typing import Any

from apps.common.commands import OrchestraCommand, actor, argument, subcommand
from apps.common.ids import short_id
from apps.workflows import selectors
from apps.workflows.management.options import given_input, shortened
from apps.workflows.models import Approval

QUESTION = argument("approval", metavar="APPROVAL", help="its id, or a unique ending of it")
DECISION = (
    QUESTION,
    argument("--comment", default="", metavar="TEXT", help="kept with the decision"),
    argument("--form", action="append", default=[], metavar="K=V", help="a field of the form: text or JSON; again"),
)


class Command(OrchestraCommand):
    help = "Shows what runs ask people, and decides it."

    @subcommand(
        argument("--status", action="append", choices=Approval.Status.values, help="without it the open ones; again"),
        argument("--limit", type=int, default=50, metavar="N", help="the newest so many (50)"),
    )
    def list_(self, status: list[str] | None, limit: int) -> None:
        """List the open questions, the newest first."""
        found = selectors.approvals(statuses=status or [Approval.Status.OPEN]).order_by("-created_at", "-id")
        rows = list(found[: max(0, limit)])
        self.table(map(self._row, rows), ["id", "workflow", "message", *(["status"] if status else [])])
        if rows:
            self.next_step(f"bin/manage approvals show {short_id(rows[0].pk)}")

    @subcommand(QUESTION)
    def show(self, approval: str) -> None:
        """Show a question with what it is about and the form that comes with the answer."""
        found = selectors.find_approval(approval)
        view = _view(found)
        self.show_value(view if self.json else {name: value for name, value in view.items() if value not in (None, "")})
        if found.status == Approval.Status.OPEN:
            self.next_step(f"bin/manage approvals approve {approval}    (or reject, or send-back)")

    @subcommand(*DECISION)
    def approve(self, approval: str, comment: str, form: list[str]) -> None:
        """Say yes; the run goes on."""
        self._decide(approval, "approve", comment, form)

    @subcommand(*DECISION)
    def reject(self, approval: str, comment: str, form: list[str]) -> None:
        """Say no; the run goes on as its workflow says."""
        self._decide(approval, "reject", comment, form)

    @subcommand(*DECISION)
    def send_back(self, approval: str, comment: str, form: list[str]) -> None:
        """Have the nodes before it run again with a comment, where the workflow has a way back."""
        self._decide(approval, "send_back", comment, form)

    def _decide(self, ref: str, decision: str, comment: str, form: list[str]) -> None:
        from apps.workflows.services.approvals import decide_approval

        found = selectors.find_approval(ref)
        answers = given_input(form, None, found.form)
        decide_approval(found, decision=decision, data=answers, comment=comment, by=actor())
        decided = _view(selectors.find_approval(str(found.pk)))
        self.show_value(decided if self.json else {name: decided[name] for name in ("id", "status", "run", "node")})
        self.next_step(f"bin/manage runs watch {short_id(found.run_id)}")

    def _row(self, approval: Approval) -> dict[str, Any]:
        view = _view(approval)
        if not self.json:
            view |= {"message": shortened(view["message"], 24), "workflow": shortened(view["workflow"], 16)}
        return view


def _view(approval: Approval) -> dict[str, Any]:
    from apps.workflows.serializers.runs import approval_view

    return approval_view(approval)
