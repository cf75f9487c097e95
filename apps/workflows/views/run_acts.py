"""What people do with a run from its page; each act is the service that the API calls."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.common import json
from apps.common.errors import BadRequest, DomainError, ErrorItem, Invalid, NotFound
from apps.common.json import JSON
from apps.common.money import micro_of, usd
from apps.common.schema_forms import Field
from apps.observability.forms import AllowForm
from apps.workflows import selectors
from apps.workflows.models import Approval, Run
from apps.workflows.services import approvals, budget_pauses, forks, pins, queue_limit, runs, signals, unknown_effects
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.repeated_effects import repeated_by_fork
from apps.workflows.store.values import read_value
from apps.workflows.views.approvals import fields, read_decision

LONGEST_COMMENT = 5000
ACTS = {
    "pause": (runs.pause_run, "Paused: what runs is finished, nothing new starts."),
    "resume": (runs.resume_run, "Resumed."),
    "cancel": (runs.cancel_run, "Cancelled."),
    "retry": (runs.retry_run, "Tried again from where it failed."),
}


@require_POST
@page(needs=Capability.RUN)
def act(request: PageRequest, ref: str, name: str) -> HttpResponse:
    """Pause, resume, cancel or retry a run."""
    run = selectors.find_run(ref)
    if name not in ACTS:
        raise NotFound(f"A run cannot be asked to '{name[:40]}'.")
    work, said = ACTS[name]
    work(run.pk, by=request.access.actor)
    return _done(request, run, said)


@require_POST
@page(needs=Capability.RUN)
def decide(request: PageRequest, ref: str, approval: UUID) -> HttpResponse:
    """Approve or reject what the run asks."""
    run = selectors.find_run(ref)
    asked = selectors.find_approval(str(approval))
    if asked.run_id != run.pk:
        raise NotFound("The run has no such question.", code="approval_not_found")
    try:
        given = read_decision(request, asked)
        approvals.decide_approval(asked, **given, by=request.access.actor)
    except Invalid as refused:
        shown = fields(request, asked, refused)
        if not is_fragment(request) or not any(field.errors for field in shown):
            raise
        return _marked(request, asked, shown, refused)
    return _done(request, run, f"{approvals.DECISIONS[given['decision']].label}.")


@require_POST
@page(needs=Capability.RUN)
def decide_effect(request: PageRequest, ref: str, effect: UUID) -> HttpResponse:
    """Say what became of a call that nobody knows about."""
    run = selectors.find_run(ref)
    found = selectors.find_effect(str(effect))
    if found.run_id != run.pk:
        raise NotFound("The run has no such effect.", code="effect_not_found")
    decision = request.POST.get("decision", "")
    if decision not in unknown_effects.DECISIONS:
        raise BadRequest("The decision is 'happened', 'retry' or 'fail'.")
    result = _json(request.POST.get("result", ""), "result") if decision == "happened" else None
    comment = request.POST.get("comment", "")[:LONGEST_COMMENT]
    unknown_effects.decide_effect(found, decision=decision, by=request.access.actor, result=result, comment=comment)
    return _done(request, run, "Decided.")


@require_POST
@page(needs=Capability.RUN)
def signal(request: PageRequest, ref: str) -> HttpResponse:
    """Send the run an event that one of its nodes waits for."""
    run = selectors.find_run(ref)
    event = request.POST.get("event", "")[:200]
    if not event:
        raise BadRequest("Name the event.")
    payload = _json(request.POST.get("payload", ""), "payload")
    taken = signals.send_signal(run.pk, event, payload, by=request.access.actor)
    return _done(request, run, "Sent, and taken." if taken else "Sent; it is kept until a node waits for it.")


@require_POST
@page(needs=Capability.MANAGE)
def allow(request: PageRequest, ref: str) -> HttpResponse:
    """Let the budget that has paused the run spend more on it, and resume it."""
    run = selectors.find_run(ref)
    form = AllowForm(request.POST)
    if not form.is_valid():
        raise _wrong("amount", " ".join(str(error) for error in form.errors.get("amount", ())))
    amount = micro_of(form.cleaned_data["amount"])
    budget_pauses.allow_and_resume(run, amount, by=request.access.actor)
    return _done(request, run, f"${usd(amount)} more allowed, and resumed.")


@require_http_methods(["GET", "POST"])
@page(needs=Capability.RUN)
def rerun(request: PageRequest, ref: str) -> HttpResponseBase:
    """Start a run again, from its beginning or from a node on, with another input if you like."""
    run = selectors.find_run(ref)
    graph = compiled_version(run.version_id).graph
    asked = request.POST if request.method == "POST" else request.GET
    node, text = asked.get("node", "")[:128], asked.get("visit", "")
    start = node or graph.nodes[graph.entries[0]]
    visit = int(text) if node and text.isdecimal() else None if node else 1
    if request.method != "POST":
        return render(request, "workflows/run/_rerun.html", _rerun_form(run, node, start, visit))
    changed = _json(request.POST.get("input", ""), "input")
    if changed is not None and not isinstance(changed, dict):
        raise _wrong("input", "The input is an object.")
    queue_limit.admit(request.access.organization)
    new = forks.fork_run(run, from_node=start, visit=visit, input=changed, by=request.access.actor)
    return _go(request, reverse("run", args=[new]))


@require_POST
@page(needs=Capability.EDIT)
def pin(request: PageRequest, ref: str) -> HttpResponse:
    """Open the builder with what the run's nodes gave pinned in the draft."""
    run = selectors.find_run(ref)
    draft = pins.pin_run(run, by=request.access.actor)
    return _go(request, reverse("edit_workflow", args=[draft.workflow.name]))


def _rerun_form(run: Run, node: str, start: str, visit: int | None) -> dict[str, Any]:
    """The form, with what would be sent into the world once more."""
    try:
        repeated, problem = list(repeated_by_fork(run, start, visit)[:20]), ""
    except DomainError as error:
        repeated, problem = [], error.detail
    text = json.dumps(read_value(run.organization_id, run.input), indent=True).decode()
    return {"run": run, "node": node, "visit": visit, "input": text, "repeated": repeated, "problem": problem}


def _json(text: str, name: str) -> JSON:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except BadRequest as error:
        raise _wrong(name, error.detail) from None


def _wrong(name: str, message: str) -> Invalid:
    return Invalid(message, code="invalid_form", errors=[ErrorItem(f"/{name}", "unreadable", message)])


def _done(request: PageRequest, run: Run, said: str) -> HttpResponse:
    """Answer an act: the script shows what was said and looks again; without it the page is loaded again."""
    if not is_fragment(request):
        return HttpResponseRedirect(reverse("run", args=[run.pk]))
    told = json.dumps({"toast": {"text": said}, "run-changed": {}}).decode()
    return HttpResponse(status=204, headers={"HX-Trigger": told})


def _marked(request: PageRequest, asked: Approval, shown: Sequence[Field], refused: Invalid) -> HttpResponse:
    """The fields of a question as they were sent, with what is wrong at each."""
    answer = render(request, "components/schema_form.html", {"fields": shown}, status=refused.status)
    answer["HX-Retarget"], answer["HX-Reswap"] = f"#fields-{asked.pk}", "innerHTML"
    return answer


def _go(request: PageRequest, where: str) -> HttpResponse:
    if is_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": where})
    return HttpResponseRedirect(where)
