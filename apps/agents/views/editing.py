"""Writing an agent: a form, the same as YAML, and trying it before it is saved."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.agents import forms, registry, selectors
from apps.agents.forms import Fields, faults_by_field
from apps.agents.llm.offers import workflow_names
from apps.agents.llm.spec import AgentSpec
from apps.agents.serializers.definitions import document_in
from apps.agents.services.definitions import (
    NewerVersion,
    Saved,
    archive_agent,
    checked_spec,
    save_agent,
    spec_of,
)
from apps.agents.services.starts import STARTS, find_start
from apps.common import yaml
from apps.common.diffs import lines_of_diff, yaml_diff
from apps.common.errors import BadRequest, Conflict, ErrorItem, Invalid, TooLarge
from apps.common.json import JSON
from apps.integrations import registry as tools
from apps.integrations.language_models import resolving as models
from apps.integrations.views.catalogue import EFFECTS

LEAVES = (
    ("auto", "when it has read others' words"),
    ("always", "always"),
    ("never", "never"),
)
LEVELS_OF_PERSONAL_DATA = (
    ("off", "may stand in the answer"),
    ("redact", "is replaced by a word for it"),
    ("fail", "makes the agent try again, and then fail"),
)


@dataclass
class Draft:
    """An agent as somebody is writing it: in the form, or as YAML."""

    name: str
    over: int  # the version that is edited; 0 for a new agent
    tab: str = "form"
    fields: Fields = field(default_factory=dict)
    text: str = ""
    message: str = ""
    faults: Sequence[ErrorItem] = ()
    detail: str = ""
    newer: dict[str, Any] | None = None  # the version that somebody else has saved meanwhile


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.EDIT)
def new(request: PageRequest) -> HttpResponse:
    """Write a new agent, from nothing or from an example."""
    if request.method == "POST":
        return _posted(request, name=request.POST.get("name", "").strip(), over=0, is_new=True)
    start = find_start(request.GET.get("from", ""))
    document = start.document if start else {}
    draft = Draft(_free_name(start.name) if start else "", over=0, fields=forms.fields_of(spec_of(document)))
    return _editor(request, draft, is_new=True, hint=start.hint if start else "")


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.EDIT)
def edit(request: PageRequest, name: str) -> HttpResponse:
    """Change an agent."""
    agent = selectors.find_agent(name)
    if request.method == "POST":
        return _posted(request, name=name, over=_over(request, agent.latest_version), is_new=False)
    version = selectors.find_version(name, agent.latest_version)
    spec = AgentSpec.model_validate(version.document)
    draft = Draft(name, over=version.number, fields=forms.fields_of(spec), text=yaml.dumps(version.document))
    draft.tab = "yaml" if request.GET.get("as") == "yaml" else "form"
    return _editor(request, draft, is_new=False)


@require_POST
@page(Capability.EDIT)
def archive(request: PageRequest, name: str) -> HttpResponse:
    """Take an agent out of every list."""
    archive_agent(selectors.find_agent(name))
    messages.success(request, f"Archived '{name}'. Runs that are in it go on; its name is free.")
    return HttpResponseRedirect(reverse("agents"))


@require_POST
@page(Capability.EDIT)
def document(request: PageRequest) -> HttpResponse:
    """Give the document that the form says, for trying it before it is saved; a fault is told as the API tells it."""
    written = _document(request)
    checked_spec(request.access.organization, request.POST.get("name", "").strip(), written)
    return JsonResponse({"agent": written})


def _posted(request: PageRequest, *, name: str, over: int, is_new: bool) -> HttpResponse:
    """Save what was written, or show it in the other way; where that cannot be, say what is wrong with it."""
    act, shown = request.POST.get("act", "save"), request.POST.get("shown", "form")
    draft = _as_written(request, name, over, shown)
    try:
        written = _document(request)
        if act in {"form", "yaml"}:
            return _editor(request, _turned(draft, written, act), is_new=is_new)
        saved = _save(request, draft, written)
    except (BadRequest, Invalid, Conflict, TooLarge) as error:
        return _editor(request, _objected(draft, error, _written_or_none(request)), is_new=is_new)
    return _done(request, saved)


def _save(request: PageRequest, draft: Draft, written: JSON) -> Saved:
    return save_agent(
        organization=request.access.organization,
        name=draft.name,
        document=written,
        by=request.access.actor,
        message=draft.message,
        over=draft.over,
    )


def _document(request: PageRequest) -> JSON:
    """What was written, as a document; raises Invalid or BadRequest where it cannot be read."""
    if request.POST.get("shown") == "yaml":
        return document_in(yaml.loads(request.POST.get("text", "")) or {})
    written, faults = forms.document_of(request.POST)
    if faults:
        raise Invalid(faults[0].message, code="invalid_agent", errors=faults)
    return written


def _written_or_none(request: PageRequest) -> JSON:
    try:
        return _document(request)
    except (BadRequest, Invalid, TooLarge):
        return None


def _as_written(request: PageRequest, name: str, over: int, shown: str) -> Draft:
    return Draft(
        name,
        over=over,
        tab="yaml" if shown == "yaml" else "form",
        fields={key: [str(value) for value in values] for key, values in request.POST.lists()},
        text=request.POST.get("text", "").replace("\r\n", "\n"),
        message=request.POST.get("message", "").strip()[:500],
    )


def _turned(draft: Draft, written: JSON, tab: str) -> Draft:
    """The same written in the other way: the form needs a document that has the form of one."""
    if tab == draft.tab:
        return draft
    if tab == "yaml":
        draft.text = yaml.dumps(_plain(written))
    else:
        draft.fields = forms.fields_of(spec_of(written))
    draft.tab = tab
    return draft


def _objected(draft: Draft, error: BadRequest | Invalid | Conflict | TooLarge, written: JSON) -> Draft:
    """The draft with what is wrong with it."""
    draft.detail, draft.faults = error.detail, error.errors
    if isinstance(error, NewerVersion):
        if draft.over == 0:
            message = f"There is an agent '{draft.name}' already. Take another name, or edit that one."
            draft.faults = [ErrorItem("/name", "name_taken", message)]
        else:
            draft.newer = _newer(draft, written)
    elif error.code == "name_taken":
        draft.faults = [ErrorItem("/name", error.code, error.detail)]
    return draft


def _newer(draft: Draft, written: JSON) -> dict[str, Any]:
    """What somebody else has saved meanwhile, and what of it saving this would undo."""
    agent = selectors.find_agent(draft.name)
    edited, newest = (selectors.find_version(draft.name, number) for number in (draft.over, agent.latest_version))
    return {
        "version": newest,
        "theirs": lines_of_diff(yaml_diff(edited.document, newest.document)),
        "mine": lines_of_diff(yaml_diff(newest.document, _plain(written))),
    }


def _plain(written: JSON) -> JSON:
    """A document as it is kept, so that it is compared by what it means."""
    try:
        return spec_of(written).document()
    except Invalid:
        return written


def _over(request: PageRequest, latest: int) -> int:
    """The version that the person has looked at: the one that was edited, or the newer one that was shown."""
    act, _, number = request.POST.get("act", "").partition(":")
    given = number if act == "over" else request.POST.get("over", "")
    return int(given) if given.isascii() and given.isdecimal() and int(given) <= latest else latest


def _done(request: PageRequest, saved: Saved) -> HttpResponse:
    agent, number = saved.version.agent, saved.version.number
    what = f"Saved version {number} of" if saved.is_new_version else f"Nothing has changed in version {number} of"
    messages.success(request, f"{what} '{agent.name}'.")
    url = reverse("agent", args=[agent.name])
    return HttpResponse(headers={"HX-Redirect": url}) if is_fragment(request) else HttpResponseRedirect(url)


# ---- the page -------------------------------------------------------------------------------------


def _editor(request: PageRequest, draft: Draft, *, is_new: bool, hint: str = "") -> HttpResponse:
    is_part = is_fragment(request)
    first = {name: values[-1] if values else "" for name, values in draft.fields.items()}
    context = {
        "draft": draft,
        "is_new": is_new,
        "hint": hint,
        "starts": STARTS if is_new else (),
        "trial": None if is_new else selectors.trial_of(selectors.find_agent(draft.name)),
        "first": first,
        "faults": faults_by_field(draft.faults),
        "is_refused": bool(draft.faults or draft.detail) and draft.newer is None,
        "tokens": len(first.get("instructions", "")) // forms.CHARACTERS_OF_A_TOKEN,
        "tools": _tools(request, draft.fields) if draft.tab == "form" else (),
        "agents": _agents(request, draft) if draft.tab == "form" else (),
        "workflows": _workflows(request, draft.fields) if draft.tab == "form" else (),
        "models": models.names(),
        "default_model": models.default_name(),
        "leaves": LEAVES,
        "personal_data": LEVELS_OF_PERSONAL_DATA,
    }
    status = 422 if draft.faults and not is_part else 200  # htmx shows no part that came with an error
    return render(request, "agents/_editor.html" if is_part else "agents/edit.html", context, status=status)


def _tools(request: PageRequest, fields: Fields) -> list[dict[str, Any]]:
    """Every tool, those that are given first; one that is gone meanwhile is there to be taken out."""
    chosen = fields.get("tools", [])
    known = {tool.name: tool for tool in tools.all(request.access.organization.pk)}
    gone = [name for name in chosen if name not in known]
    return [
        {
            "name": name,
            "description": known[name].description.partition("\n")[0] if name in known else "There is no such tool.",
            "effect": EFFECTS[known[name].effect] if name in known else "gone",
            "is_chosen": name in chosen,
            "leave": _leave(fields, "tools", name),
        }
        for name in [*gone, *sorted(known, key=lambda name: (name not in chosen, name.casefold()))]
    ]


def _agents(request: PageRequest, draft: Draft) -> list[dict[str, Any]]:
    asked, left_to = draft.fields.get("agents", []), draft.fields.get("handoffs", [])
    known = {one.name: one.description.partition("\n")[0] for one in registry.all_for(request.access.organization.pk)}
    known.pop(draft.name, None)  # none asks itself
    gone = [name for name in dict.fromkeys([*asked, *left_to]) if name not in known]
    chosen = {*asked, *left_to}
    return [
        {
            "name": name,
            "description": known.get(name, "There is no such agent."),
            "is_asked": name in asked,
            "is_left_to": name in left_to,
            "leave_to_ask": _leave(draft.fields, "agents", name),
            "leave_to_hand_off": _leave(draft.fields, "handoffs", name),
        }
        for name in [*gone, *sorted(known, key=lambda name: (name not in chosen, name.casefold()))]
    ]


def _workflows(request: PageRequest, fields: Fields) -> list[dict[str, Any]]:
    chosen = fields.get("workflows", [])
    return [
        {"name": name, "is_chosen": name in chosen, "leave": _leave(fields, "workflows", name)}
        for name in _merged(chosen, workflow_names(request.access.organization.pk))
    ]


def _leave(fields: Fields, field: str, name: str) -> dict[str, str]:
    """When a person has to agree to an entry, and who: what is asked, and where the form has the answers."""
    when, who = f"approval:{field}:{name}", f"assignees:{field}:{name}"
    return {
        "when": when,
        "who": who,
        "approval": (fields.get(when) or ["auto"])[-1],
        "assignees": (fields.get(who) or [""])[-1],
    }


def _merged(chosen: Iterable[str], known: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*chosen, *known]))


def _free_name(wanted: str) -> str:
    """The name, or with a number behind where the organization has one of that name."""
    taken = set(selectors.names()) | {one.name for one in registry.all()}
    return next(name for number in range(1, len(taken) + 2) if (name := _numbered(wanted, number)) not in taken)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
