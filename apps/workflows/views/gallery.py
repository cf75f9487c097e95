"""The gallery of workflows to start from."""

from dataclasses import dataclass
from functools import cache, cached_property
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.workflows.engine.compiler import Compiled
from apps.workflows.serializers.run_page.layout import Layout, lay_out
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.gallery import Template, find_template, run_demo, templates, use_template

# What a template shows beside its words, by the types of its nodes; the rest goes without saying.
KINDS = {
    "agent": "agents",
    "tool": "tools",
    "map": "a map over a list",
    "approval": "asks a person",
    "wait": "waits",
    "workflow": "calls a workflow",
}


@dataclass(frozen=True)
class Card:
    """A template as the gallery shows it."""

    template: Template

    @cached_property
    def compiled(self) -> Compiled:
        """Give its graph."""
        return check_definition(self.template.definition).compiled

    @cached_property
    def picture(self) -> Layout:
        """Give where everything stands in a small drawing of the graph."""
        return lay_out(self.compiled.graph)

    @property
    def boxes(self) -> list[tuple[float, float, str]]:
        """Give the corner and the type of every node."""
        return [(*at, self.compiled.nodes[place].spec.type) for place, at in self.picture.places.items()]

    @property
    def kinds(self) -> list[str]:
        """Say what it is made of."""
        types = {node.spec.type for node in self.compiled.nodes}
        loops = ["a loop"] if self.compiled.graph.cyclic else []
        return [word for kind, word in KINDS.items() if kind in types] + loops


@cache
def cards() -> list[Card]:
    """Give the gallery, which does not change while the process lives."""
    return [Card(template) for template in templates().values()]


@require_safe
@page()
def gallery(request: PageRequest) -> HttpResponse:
    """Show the templates with what may be done with each."""
    access = request.access
    context = {
        "cards": cards(),
        "may_use": access.can(Capability.EDIT),
        "may_run": access.can(Capability.RUN),
    }
    return render(request, "workflows/gallery.html", context)


@require_POST
@page(Capability.EDIT)
def use(request: PageRequest, name: str) -> HttpResponse:
    """Copy a template into a workflow of one's own, and open it."""
    workflow = use_template(request.access.organization, find_template(name), by=request.access.actor)
    messages.success(request, f"Saved as {workflow.name}. It is yours to change.")
    return HttpResponseRedirect(f"/workflows/{quote(workflow.name, safe='')}/edit")


@require_POST
@page(Capability.RUN)
def run(request: PageRequest, name: str) -> HttpResponse:
    """Run a template with its sample input, and watch it."""
    started = run_demo(request.access.organization, find_template(name).name, by=request.access.actor)
    return HttpResponseRedirect(f"/runs/{started}")
