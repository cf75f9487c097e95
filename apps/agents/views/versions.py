"""The versions of an agent: what changed, and going back."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.agents import selectors
from apps.agents.serializers.definitions import file_of
from apps.agents.serializers.trials import trial_json
from apps.agents.services.definitions import save_agent
from apps.agents.views.trials import USUAL_PERCENT
from apps.common import yaml
from apps.common.diffs import lines_of_diff, yaml_diff
from apps.common.errors import Conflict

MOST_VERSIONS = 200
MOST_TRIALS = 5


@require_safe
@page()
def versions(request: PageRequest, name: str) -> HttpResponse:
    """List the versions, the newest first; two that are chosen are compared."""
    agent = selectors.find_agent(name)
    context = {
        "agent": agent,
        "versions": agent.versions.defer("document").order_by("-number")[:MOST_VERSIONS],
        "trial": trial_json(trial) if (trial := selectors.trial_of(agent)) else None,
        "ended_trials": selectors.ended_trials(agent)[:MOST_TRIALS],
        "older": range(agent.latest_version - 1, 0, -1)[:MOST_VERSIONS],
        "usual_percent": USUAL_PERCENT,
        "may_edit": request.access.can(Capability.EDIT),
        **_comparison(request, name, agent.latest_version),
    }
    template = "agents/_comparison.html" if is_fragment(request) else "agents/versions.html"
    return render(request, template, context)


@require_safe
@page()
def export(_request: PageRequest, name: str) -> HttpResponse:
    """Give the newest version as a file."""
    agent = selectors.find_agent(name)
    file = yaml.dumps(file_of(selectors.find_version(name, agent.latest_version)))
    headers = {"Content-Disposition": f'attachment; filename="{name}.yaml"'}
    return HttpResponse(file, content_type="application/yaml; charset=utf-8", headers=headers)


@require_POST
@page(Capability.EDIT)
def restore(request: PageRequest, name: str, number: int) -> HttpResponse:
    """Save what a version was as a new one."""
    version = selectors.find_version(name, number)
    try:
        saved = save_agent(
            organization=request.access.organization,
            name=name,
            document=version.document,
            by=request.access.actor,
            message=f"As in version {number}.",
        )
    except Conflict as refused:  # one of its versions is on trial
        messages.error(request, refused.detail)
        return HttpResponseRedirect(reverse("agent_versions", args=[name]))
    if saved.is_new_version:
        messages.success(request, f"Version {saved.version.number} of '{name}' is what version {number} was.")
    else:
        messages.success(request, f"'{name}' is as in version {number} already.")
    return HttpResponseRedirect(reverse("agent_versions", args=[name]))


def _comparison(request: PageRequest, name: str, latest: int) -> dict[str, object]:
    """The two versions that the address names, without any the newest two."""
    after = _number(request.GET.get("after"), latest, latest)
    before = _number(request.GET.get("before"), max(1, after - 1), latest)
    documents = [selectors.find_version(name, number).document for number in (before, after)]
    return {"before": before, "after": after, "lines": lines_of_diff(yaml_diff(*documents))}


def _number(given: str | None, usual: int, most: int) -> int:
    is_number = given is not None and given.isascii() and given.isdecimal()
    return int(given) if is_number and given and 1 <= int(given) <= most else usual
