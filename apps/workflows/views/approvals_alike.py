"""Deciding several questions of one step at once: the same decision, form and comment for each that is chosen."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.common.errors import BadRequest, Invalid
from apps.workflows import selectors
from apps.workflows.models import Approval
from apps.workflows.services import approvals, bulk
from apps.workflows.views.approvals import fields, read_decision

MOST = 100  # questions at once
SHOWN_REASONS = 3


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.RUN)
def alike(request: PageRequest, ref: str) -> HttpResponse:
    """Show the open questions of this one's step, all of them chosen, or decide those that are."""
    approval = selectors.find_approval(ref)
    if request.method != "POST":
        return _show(request, approval)
    try:
        given = read_decision(request, approval)
        approvals.check_form(approval, given["decision"], given["data"])
    except Invalid as refused:
        return _show(request, approval, refused)
    if given["decision"] == approvals.SEND_BACK:
        raise BadRequest("Send back one at a time: each goes back with its own comment.", code="invalid_decision")
    outcome = bulk.decide_approvals(_chosen(request, approval), **given, by=request.access.actor)
    _tell(request, given["decision"], outcome)
    return HttpResponseRedirect(reverse("approvals"))


def _show(request: PageRequest, approval: Approval, refused: Invalid | None = None) -> HttpResponse:
    questions = _decidable(request, approval)
    chosen = request.POST.getlist("question") if refused else [str(one.pk) for one in questions]
    if not questions:
        messages.info(request, "None of these questions waits for you any more.")
        return HttpResponseRedirect(reverse("approval", args=[approval.pk]))
    context = {
        "approval": approval,
        "rows": [(one, str(one.pk) in chosen) for one in questions],
        "chosen_count": sum(str(one.pk) in chosen for one in questions),
        "most": MOST,
        "fields": fields(request, questions[0], refused),
        "comment": request.POST.get("comment", ""),
        "refused": refused,
    }
    return render(request, "workflows/approvals_alike.html", context, status=refused.status if refused else 200)


def _decidable(request: PageRequest, approval: Approval) -> Sequence[Approval]:
    """The questions of the step that this person was asked, the oldest first: it has waited longest.

    What an agent could not answer is not among them: each of these has an answer of its own.
    """
    found = selectors.approvals_of_step(approval).filter(status=Approval.Status.OPEN).order_by("pk")[:MOST]
    asked = [one for one in found if not approvals.is_for_answer(one)]
    return [one for one in asked if approvals.may_decide(one, request.user.username)]


def _chosen(request: PageRequest, approval: Approval) -> QuerySet[Approval]:
    """Those that were ticked, also where somebody has decided one since: it then says who. Others are none of ours."""
    try:
        wanted = [UUID(one) for one in request.POST.getlist("question")[:MOST]]
    except ValueError:
        raise BadRequest("A question that was chosen is none.", code="invalid_question") from None
    return selectors.approvals_of_step(approval).filter(pk__in=wanted).order_by("pk")


def _tell(request: PageRequest, decision: str, outcome: bulk.Outcome) -> None:
    if outcome.done:
        word = approvals.DECISIONS[decision].label
        messages.success(request, f"{word} {outcome.done} question{'' if outcome.done == 1 else 's'}.")
    elif not outcome.refused:
        messages.error(request, "Nothing was chosen, and nothing decided.")
    for reason in list(dict.fromkeys(outcome.refused))[:SHOWN_REASONS]:
        messages.error(request, reason)
