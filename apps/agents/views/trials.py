"""Putting a version of an agent on trial, and deciding for one; the page of versions shows how it goes."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.agents.services.trials import end_trial, start_trial
from apps.common.errors import Conflict, Invalid, NotFound

USUAL_PERCENT = 20
MOST_DIGITS = 9  # of a number that fits the column


@require_POST
@page(Capability.EDIT)
def start(request: PageRequest, name: str) -> HttpResponse:
    """Give the newest version a share of the work, or another share."""
    against, percent = _number(request, "against"), _number(request, "percent")
    organization, by = request.access.organization, request.access.actor
    try:
        began = start_trial(organization=organization, name=name, against=against, percent=percent, by=by)
    except (Conflict, Invalid) as refused:
        messages.error(request, refused.detail)
        return _back(name)
    trial = began.trial
    shares = f"Version {trial.candidate} gets {percent} % of the visits, version {trial.baseline} the rest."
    messages.success(request, shares)
    return _back(name)


@require_POST
@page(Capability.EDIT)
def end(request: PageRequest, name: str) -> HttpResponse:
    """Decide for one of the two."""
    keep = _number(request, "keep")
    try:
        kept = end_trial(organization=request.access.organization, name=name, keep=keep, by=request.access.actor)
    except (NotFound, Invalid) as refused:  # somebody else was first
        messages.error(request, refused.detail)
        return _back(name)
    also = "" if kept.number == keep else f", which is what version {keep} was"
    messages.success(request, f"The trial has ended. Version {kept.number} works{also}.")
    return _back(name)


def _number(request: PageRequest, name: str) -> int:
    given = request.POST.get(name, "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= MOST_DIGITS else 0


def _back(name: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("agent_versions", args=[name]))
