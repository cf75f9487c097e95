"""The tools that there are: what each takes and changes, and trying one."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.access import bucket, refuse_excess
from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.common import limits
from apps.common.curl import curl
from apps.common.json import JSON
from apps.common.outcomes import Outcome
from apps.common.schema_parts import table
from apps.common.trials import INPUT_AT, trial
from apps.integrations import registry
from apps.integrations.services.calls import call
from apps.integrations.tools import Tool

EFFECTS = {
    "read": "reads only",
    "write": "writes here",
    "external_write": "changes the world outside",
    "money": "spends money",
    "admin": "changes who may do what",
}
REPEATS = {
    "free": "it is called again: it changes nothing",
    "keyed": "it is called again with the same key, so that it happens once",
    "ask": "a person finds out, as it might happen twice",
    "by_input": "what is called decides: again, with the same key, or a person finds out",
}


@require_safe
@page()
def catalogue(request: PageRequest) -> HttpResponse:
    """List the tools; htmx asks for the list alone while somebody types."""
    wanted, effect = request.GET.get("q", "").strip(), request.GET.get("effect", "")
    everything = sorted(registry.all(request.access.organization.pk), key=lambda one: one.name.casefold())
    found = [one for one in everything if _matches(one, wanted) and effect in {"", one.effect}]
    context = {
        "tools": [(one, EFFECTS[one.effect]) for one in found],
        "wanted": wanted,
        "effect": effect,
        "effects": [("", "Any effect"), *EFFECTS.items()],
        "summary": f"{len(found)} of {len(everything)} tools" if len(found) < len(everything) else "",
    }
    template = "integrations/_list.html" if is_fragment(request) else "integrations/catalogue.html"
    return render(request, template, context)


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def tool(request: PageRequest, name: str) -> HttpResponse:
    """Show a tool with what it takes and gives, or call it once."""
    shown = registry.get(name, request.access.organization.pk)
    if request.method == "POST":
        request.access.require(Capability.RUN)
        refuse_excess(limits.hit([bucket("run", f"caller:{request.user.pk}")]))
    tried = trial(request, shown.input_schema, lambda value: _call(request, shown, value))
    context = {
        "tool": shown,
        "effect": EFFECTS[shown.effect],
        "facts": _facts(shown),
        "tables": [
            ("Takes", table(shown.input_schema), "Nothing."),
            ("Gives", table(shown.output_schema), "One value, as JSON."),
        ],
        "trial": tried,
        "may_try": request.access.can(Capability.RUN),
        "asks_first": shown.changes_outside,
        "curl": curl(request, f"/v1/tools/{shown.name}/invoke", {"input": tried.value}),
    }
    is_part = is_fragment(request)
    status = 422 if tried.refused and not is_part else 200  # htmx shows no part that came with an error
    return render(request, "catalogue/_trial.html" if is_part else "integrations/tool.html", context, status=status)


def _call(request: PageRequest, shown: Tool, value: JSON) -> Outcome:
    return call(shown, value, organization_id=request.access.organization.pk, input_at=INPUT_AT)


def _matches(shown: Tool, wanted: str) -> bool:
    text = f"{shown.name} {shown.description}".casefold()
    return all(word in text for word in wanted.casefold().split())


def _facts(shown: Tool) -> list[tuple[str, Any]]:
    return [
        ("What it changes", EFFECTS[shown.effect]),
        ("After a crash in the middle of a call", REPEATS[shown.repeat_shown]),
        ("Time-out", f"{shown.timeout:g} s"),
        ("Function", shown.origin),
    ]
