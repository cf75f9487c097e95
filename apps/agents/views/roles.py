"""The roles of a team, and what the organization tells each of them to be."""

import difflib
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.agents import selectors
from apps.agents.roles.catalogue import LONGEST_PROMPT
from apps.agents.selectors import RoleState
from apps.agents.services.definitions import NewerVersion
from apps.agents.services.roles import reset_prompt, save_prompt
from apps.common.diffs import lines_of_diff
from apps.common.errors import Invalid
from apps.integrations.language_models import registry as known_models
from apps.integrations.language_models import resolving as models

MOST_VERSIONS = 100
MOST_DIGITS = 9  # of a number that fits the column


@dataclass(frozen=True)
class Draft:
    """A prompt as somebody is writing it."""

    text: str
    over: int  # the version that is edited
    message: str = ""
    fault: str = ""  # why it was not saved
    is_late: bool = False  # somebody else has saved meanwhile


@require_safe
@page()
def roles(request: PageRequest) -> HttpResponse:
    """List the roles."""
    context = {"roles": selectors.roles(), "default_model": models.default_name(), "is_demo": _is_demo()}
    return render(request, "agents/roles.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def role(request: PageRequest, name: str) -> HttpResponse:
    """Show a role's prompt beside the built-in one, or save another."""
    state = selectors.role_state(name)
    if request.method == "POST":
        request.access.require(Capability.EDIT)
        return _posted(request, state)
    opened = _number(request.GET.get("version", ""), 0)
    return _page(request, state, Draft(_text_of(state, opened), state.version), opened=opened)


@require_POST
@page(Capability.EDIT)
def reset(request: PageRequest, name: str) -> HttpResponse:
    """Have the built-in prompt work again."""
    state = reset_prompt(organization=request.access.organization, role=name, by=request.access.actor)
    messages.success(request, f"{state.role.title} works with the built-in prompt again.")
    return HttpResponseRedirect(reverse("agent_role", args=[state.role.name]))


def _posted(request: PageRequest, state: RoleState) -> HttpResponse:
    text = request.POST.get("prompt", "").replace("\r\n", "\n")
    draft = Draft(text, _number(request.POST.get("over", ""), state.version), request.POST.get("message", "")[:500])
    try:
        saved = save_prompt(
            organization=request.access.organization,
            role=state.role.name,
            text=draft.text,
            by=request.access.actor,
            message=draft.message.strip(),
            over=draft.over,
        )
    except (Invalid, NewerVersion) as error:
        is_late = isinstance(error, NewerVersion)
        newest = selectors.role_state(state.role.name)
        over = newest.version if is_late else draft.over
        return _page(request, newest, Draft(draft.text, over, draft.message, error.detail, is_late), status=422)
    messages.success(request, _done(saved, is_new=saved.version > state.version))
    return HttpResponseRedirect(reverse("agent_role", args=[state.role.name]))


def _done(saved: RoleState, *, is_new: bool) -> str:
    if not is_new:
        return "Nothing has changed."
    return f"Saved version {saved.version}. {saved.role.title} works with it from its next task on."


def _page(request: PageRequest, state: RoleState, draft: Draft, *, opened: int = 0, status: int = 200) -> HttpResponse:
    context = {
        "opened": opened,
        "state": state,
        "draft": draft,
        "versions": selectors.prompt_versions(state.role.name)[:MOST_VERSIONS],
        "lines": _changes(state.role.prompt, draft.text),
        "theirs": _changes(draft.text, state.text) if draft.is_late else [],
        "may_edit": request.access.can(Capability.EDIT),
        "default_model": models.default_name(),
        "is_demo": _is_demo(),
        "longest": LONGEST_PROMPT,
    }
    return render(request, "agents/role.html", context, status=status)


def _text_of(state: RoleState, version: int) -> str:
    """The prompt of an earlier version, to be saved again; without one that which works."""
    if not version:
        return state.text
    text = selectors.prompt_version(state.role.name, version).text
    return state.role.prompt if text is None else text


def _number(given: str, otherwise: int) -> int:
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= MOST_DIGITS else otherwise


def _changes(before: str, after: str) -> list[tuple[str, str]]:
    lines = before.splitlines(), after.splitlines()
    return lines_of_diff(list(difflib.unified_diff(*lines, "before", "after", lineterm="", n=1)))


def _is_demo() -> bool:
    """Whether roles without a model of their own work by rules."""
    known = known_models.find(models.default_name())
    return known is not None and known.is_demo
