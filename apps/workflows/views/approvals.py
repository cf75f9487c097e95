"""The inbox of questions to people: what a decision leads to, and deciding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.common.errors import BadRequest, Conflict, DomainError, Invalid
from apps.common.schema_forms import Field, fields_of, read_value, without_prefix
from apps.workflows import selectors
from apps.workflows.models import Approval
from apps.workflows.serializers.degraded import failure_behind
from apps.workflows.services import approvals

MOST = 50  # questions on a page
LONGEST_COMMENT = 5000
DECIDED = tuple(status for status in Approval.Status if status != Approval.Status.OPEN)
TABS = (("waiting", "Waiting"), ("mine", "Mine"), ("decided", "Decided"))
ON_TIMEOUT = {
    "approve": "it counts as approved",
    "reject": "it counts as rejected",
    "fail": "the node fails with a time-out",
}


@require_safe
@page()
def inbox(request: PageRequest) -> HttpResponse:
    """Show the list with the first question open; htmx asks for the list alone."""
    tab = _tab(request)
    found = _listed(request, tab)
    if is_fragment(request):
        return render(request, "workflows/_approval_list.html", {**_list(request, tab, found), "is_fragment": True})
    first = found[0] if found else None
    return _page(request, tab, found, first, is_chosen=False)


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def question(request: PageRequest, ref: str) -> HttpResponse:
    """Show one question beside the list, or take the decision on it."""
    approval = selectors.find_approval(ref)
    if request.method == "POST":
        request.access.require(Capability.RUN)
        return _decide(request, approval)
    return _page(request, _tab(request, approval), None, approval)


def _decide(request: PageRequest, approval: Approval) -> HttpResponse:
    try:
        given = read_decision(request, approval)
        approvals.decide_approval(approval, **given, by=request.access.actor)
    except (Invalid, Conflict) as refused:
        current = selectors.find_approval(str(approval.pk))
        return _page(request, _tab(request, approval), None, current, refused=refused)
    messages.success(request, f"{approvals.DECISIONS[given['decision']].label}. The run goes on.")
    return HttpResponseRedirect(reverse("approval", args=[approval.pk]))


def read_decision(request: PageRequest, approval: Approval) -> dict[str, Any]:
    """Read what somebody decided: the decision, what they filled in, and their comment; raises Invalid."""
    decision = request.POST.get("decision", "")
    if decision not in approvals.DECISIONS:
        raise BadRequest("A decision is 'approve', 'reject' or 'send_back'.", code="invalid_decision")
    given = {} if approval.form is None or decision != "approve" else read_value(approval.form, request.POST)
    comment = request.POST.get("comment", "").strip()[:LONGEST_COMMENT]
    return {"decision": decision, "data": given or {}, "comment": comment}


# ---- the list --------------------------------------------------------------------------------------


def _tab(request: PageRequest, chosen: Approval | None = None) -> str:
    asked = request.GET.get("show", "")
    if asked in dict(TABS):
        return asked
    return "decided" if chosen is not None and chosen.status in DECIDED else "waiting"


def _found(request: PageRequest, tab: str) -> QuerySet[Approval]:
    if tab == "mine":
        return selectors.approvals_for(request.user.username)
    return selectors.approvals(statuses=DECIDED if tab == "decided" else (Approval.Status.OPEN,))


def _listed(request: PageRequest, tab: str) -> list[Approval]:
    """The newest questions, or those before one; one more than a page, if there are more."""
    found = _found(request, tab)
    if before := request.GET.get("before"):
        try:
            found = found.filter(pk__lt=UUID(before))
        except ValueError:
            raise BadRequest("'before' is not an id.", code="invalid_parameter") from None
    return list(found.order_by("-pk")[: MOST + 1])


def _list(request: PageRequest, tab: str, found: Sequence[Approval]) -> dict[str, Any]:
    chosen = request.GET.get("chosen", "")
    return {
        "items": found[:MOST],
        "older": found[MOST - 1].pk if len(found) > MOST else None,
        "tab": tab,
        "tabs": _tabs(request, tab),
        "open_count": selectors.count_open_approvals(),
        "chosen": chosen,
        "news": _news(chosen) if is_fragment(request) and chosen else None,
    }


def _tabs(request: PageRequest, current: str) -> list[dict[str, Any]]:
    counts = {
        "waiting": selectors.count_open_approvals(),
        "mine": selectors.approvals_for(request.user.username).count(),
    }
    return [
        {
            "label": label,
            "url": f"{reverse('approvals')}?{urlencode({'show': name})}",
            "current": name == current,
            "count": counts.get(name),
        }
        for name, label in TABS
    ]


def _news(chosen: str) -> Approval | None:
    """The question that somebody looks at, once it is decided: the page says so without losing what was typed."""
    try:
        approval = selectors.find_approval(chosen)
    except DomainError:
        return None
    return approval if approval.status in DECIDED else None


# ---- one question ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PayloadPart:
    """A part of what is to be decided about: text, or anything else as JSON."""

    label: str
    value: Any

    @property
    def is_text(self) -> bool:
        """Tell whether people read it as it is."""
        return isinstance(self.value, str | int | float)


def _page(
    request: PageRequest,
    tab: str,
    found: Sequence[Approval] | None,
    approval: Approval | None,
    *,
    is_chosen: bool = True,
    refused: Invalid | Conflict | None = None,
) -> HttpResponse:
    listed = _list(request, tab, _listed(request, tab) if found is None else found)
    detail = _detail(request, approval, refused) if approval else {}
    context = {**listed, **detail, "is_chosen": is_chosen, "chosen": str(approval.pk) if approval else ""}
    return render(request, "workflows/approvals.html", context, status=refused.status if refused else 200)


def _detail(request: PageRequest, approval: Approval, refused: Invalid | Conflict | None) -> dict[str, Any]:
    is_open = approval.status == Approval.Status.OPEN
    follows = approvals.what_follows(approval) if is_open else {}
    is_answer = approvals.is_for_answer(approval)
    return {
        "approval": approval,
        "is_open": is_open,
        "alike": selectors.approvals_of_step(approval).filter(status=Approval.Status.OPEN)[: MOST + 1].count()
        if is_open and not is_answer
        else 0,
        "most": MOST,
        "may_decide": request.access.can(Capability.RUN) and approvals.may_decide(approval, request.user.username),
        "on_timeout": "that is no answer" if is_answer else ON_TIMEOUT[approval.on_timeout],
        "is_answer": is_answer,
        "failure": failure_behind(approval),
        "step_behind": approvals.step_behind(approval) if is_answer else "",
        "approve_title": "Send this answer?" if is_answer else "Approve?",
        "reject_title": "Give no answer?" if is_answer else "Reject?",
        "payload": _payload(approval.payload),
        "follows": list(follows.items()),
        "can_go_back": approvals.SEND_BACK in follows,
        "fields": fields(request, approval, refused),
        "comment": request.POST.get("comment", ""),
        "refused": refused,
        "is_decided_before": isinstance(refused, Conflict) and not is_open,
    }


def _payload(payload: Any) -> list[PayloadPart]:
    if payload is None:
        return []
    if not isinstance(payload, dict):
        return [PayloadPart("", payload)]
    return [PayloadPart(str(key).replace("_", " ").capitalize(), value) for key, value in payload.items()]


def fields(request: PageRequest, approval: Approval, refused: Invalid | Conflict | None) -> list[Field]:
    """Give the fields of a question's form, as they were sent where something was wrong with them."""
    if approval.form is None or approval.status != Approval.Status.OPEN:
        return []
    faults = without_prefix(refused.errors, "/data") if refused else ()
    return fields_of(approval.form, request.POST if request.method == "POST" else None, faults)
