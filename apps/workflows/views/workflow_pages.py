"""The list of workflows and the page of one: running, importing, publishing, archiving."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.common import json
from apps.common.diffs import lines_of_diff, yaml_diff
from apps.common.errors import BadRequest, Conflict, ErrorItem, Invalid, TooLarge
from apps.common.schema_forms import Field, fields_of, read_value, without_prefix
from apps.common.schema_parts import properties
from apps.workflows import selectors
from apps.workflows.lists import runs as run_lists
from apps.workflows.lists import workflows as lists
from apps.workflows.lists.query import RunQuery, Term
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.serializers.run_page.layout import lay_out
from apps.workflows.services import imports, offers, versions
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.new_workflows import begin_workflow
from apps.workflows.services.runs import Order, start_run
from apps.workflows.views.run_list import url_of

MOST_VERSIONS = 50
MOST_RUNS = 10
MOST_DRAWN = 200  # nodes


@require_safe
@page()
def workflow_list(request: PageRequest) -> HttpResponse:
    """Show the list, or of it what a search changes."""
    search = request.GET.get("q", "")[:200].replace("\0", "")
    found = lists.page(search, request.GET.get("cursor"))
    context = {
        "search": search,
        "rows": lists.rows(found.rows),
        "next_cursor": found.next_cursor,
        "cursor": request.GET.get("cursor"),
        **_rights(request),
    }
    template = "workflows/_workflow_list.html" if is_fragment(request) else "workflows/workflows.html"
    return render(request, template, context)


@require_safe
@page()
def workflow_page(request: PageRequest, ref: str) -> HttpResponse:
    """Show one workflow: how it does, what it takes, its versions, runs and schedules."""
    workflow = selectors.find_workflow(ref)
    version = versions.find_version(workflow)
    query, offered = RunQuery((Term("workflow", workflow.name),)), selectors.offer_of(workflow)
    context = {
        "workflow": workflow,
        "version": version,
        "label": workflow.title or workflow.name,
        "row": lists.rows([workflow])[0],
        "rows": run_lists.latest(workflow, MOST_RUNS),
        "runs_url": url_of(query),
        "versions": selectors.versions(workflow).defer("document", "source").order_by("-number")[:MOST_VERSIONS],
        "schedules": selectors.schedules().filter(workflow=workflow).order_by("name"),
        "fields": fields_of(_schema(version)),
        "is_inline": True,
        "nodes": version.document["nodes"],
        "curl": _curl(request, workflow, version),
        "offer": offered,
        "mcp_url": request.build_absolute_uri("/mcp"),
        "a2a_url": request.build_absolute_uri(f"/a2a/{offered.name}") if offered else "",
        **_picture(version),
        **_rights(request),
    }
    return render(request, "workflows/workflow.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.RUN)
def run_form(request: PageRequest, ref: str) -> HttpResponse:
    """Ask for the input of a run, or start it."""
    workflow = selectors.find_workflow(ref)
    version = versions.find_version(workflow)
    if request.method != "POST":
        return _form(request, workflow, fields_of(_schema(version)))
    try:
        run = _start(request, version)
    except Invalid as error:
        faults = without_prefix(error.errors, "/input")
        return _form(request, workflow, fields_of(_schema(version), request.POST, faults), error.detail)
    return _go(request, f"{reverse('runs')}/{run}")


@require_POST
@page(Capability.EDIT)
def new_workflow(request: PageRequest) -> HttpResponse:
    """Begin a workflow, and open it in the builder."""
    organization, title = request.access.organization, request.POST.get("title", "")
    workflow = begin_workflow(organization=organization, title=title, by=request.access.actor)
    return _go(request, reverse("edit_workflow", args=[workflow.name]))


@require_POST
@page(Capability.EDIT)
def import_workflow(request: PageRequest) -> HttpResponse:
    """Save the definition in a file as a workflow, or as a new version of the one of that name."""
    try:
        raw = _uploaded(request)
        saved = imports.import_definition(organization=request.access.organization, raw=raw, by=request.access.actor)
    except (BadRequest, Invalid, TooLarge) as error:
        issues = error.errors or (ErrorItem("", error.code, error.detail),)
        return render(request, "workflows/_import_issues.html", {"issues": issues, "detail": error.detail})
    what = "a new workflow" if saved.is_new_workflow else f"version {saved.version.number}"
    if not saved.is_new_version:
        what = "what it was already"
    messages.success(request, f"Imported '{saved.workflow.name}': {what}.")
    return _go(request, reverse("workflow", args=[saved.workflow.name]))


@require_POST
@page(Capability.EDIT)
def archive(request: PageRequest, ref: str) -> HttpResponse:
    """Take a workflow out of the list, with a way back."""
    workflow = selectors.find_workflow(ref)
    versions.archive_workflow(workflow)
    text = f"Archived '{workflow.name}'. Its runs stay."
    if not is_fragment(request):
        messages.success(request, text)
        return HttpResponseRedirect(reverse("workflows"))
    undo = reverse("restore_workflow", args=[workflow.pk])
    return HttpResponse(headers={"HX-Trigger": json.dumps({"toast": {"text": text, "undo": undo}}).decode()})


@require_POST
@page(Capability.EDIT)
def offer(request: PageRequest, ref: str) -> HttpResponse:
    """Offer a workflow to other people's programs, or do so no more."""
    workflow = selectors.find_workflow(ref)
    try:
        if request.POST.get("offered") == "true":
            name = request.POST.get("name", "").strip()
            offers.offer_workflow(workflow, name=name, by=request.access.actor)
        else:
            offers.withdraw_workflow(workflow)
    except (Invalid, Conflict) as refused:
        messages.error(request, refused.detail)
    return HttpResponseRedirect(reverse("workflow", args=[workflow.name]))


@require_POST
@page(Capability.EDIT)
def restore(request: PageRequest, identifier: UUID) -> HttpResponse:
    """Take an archived workflow back."""
    workflow = versions.restore_workflow(identifier)
    messages.success(request, f"'{workflow.name}' is back.")
    return _go(request, reverse("workflows"))


@require_POST
@page(Capability.EDIT)
def publish(request: PageRequest, ref: str, number: int) -> HttpResponse:
    """Make a version the one that runs."""
    workflow = versions.publish_version(selectors.find_workflow(ref), number)
    messages.success(request, f"Version {number} of '{workflow.name}' is what runs now.")
    return HttpResponseRedirect(reverse("workflow", args=[workflow.name]))


@require_safe
@page()
def diff(request: PageRequest, ref: str, before: int, after: int) -> HttpResponse:
    """Show what changed between two versions."""
    workflow = selectors.find_workflow(ref)
    earlier, later = (versions.find_version(workflow, number) for number in (before, after))
    lines = lines_of_diff(yaml_diff(earlier.document, later.document))
    context = {"before": before, "after": after, "lines": lines}
    return render(request, "workflows/_version_diff.html", context)


def _rights(request: PageRequest) -> dict[str, bool]:
    access = request.access
    return {"may_run": access.can(Capability.RUN), "may_edit": access.can(Capability.EDIT)}


def _picture(version: WorkflowVersion) -> dict[str, Any]:
    """Give where the nodes and edges of a version stand; nothing for one that is too large to be looked at."""
    compiled = compiled_version(version.pk)
    if len(compiled.nodes) > MOST_DRAWN:
        return {}
    layout = lay_out(compiled.graph)
    boxes = [(*at, compiled.graph.nodes[place], compiled.nodes[place].spec.type) for place, at in layout.places.items()]
    return {"picture": layout, "boxes": boxes}


def _schema(version: WorkflowVersion) -> dict[str, Any]:
    return version.document.get("inputs") or {}


def _form(request: HttpRequest, workflow: Workflow, fields: list[Field], problem: str = "") -> HttpResponse:
    shown = problem if not any(field.errors for field in fields) else ""
    context = {"workflow": workflow, "fields": fields, "problem": shown, "is_inline": "inline" in request.POST}
    return render(request, "workflows/_run_form.html", context)


def _start(request: PageRequest, version: WorkflowVersion) -> UUID:
    given = read_value(_schema(version), request.POST)
    if given is None:
        given = {}
    if not isinstance(given, dict):
        fault = ErrorItem("", "not_an_object", "The input is an object: {...}.")
        raise Invalid(fault.message, code="invalid_input", errors=[fault])
    order = Order(input=given, trigger="manual", by=request.access.actor)
    return start_run(organization=request.access.organization, version=version, order=order)


def _uploaded(request: HttpRequest) -> bytes:
    file = request.FILES.get("file")
    if file is None or isinstance(file, list):
        raise BadRequest("Choose a file: a workflow as JSON or YAML.", code="no_file")
    if (file.size or 0) > imports.MAX_BYTES:
        raise TooLarge(f"The file is larger than {imports.MAX_BYTES:,} bytes.")
    return bytes(file.read())


def _go(request: HttpRequest, url: str) -> HttpResponse:
    """Send the browser to another page, whoever asked: htmx or a form."""
    return HttpResponse(headers={"HX-Redirect": url}) if is_fragment(request) else HttpResponseRedirect(url)


def _curl(request: HttpRequest, workflow: Workflow, version: WorkflowVersion) -> str:
    """Write the command that runs a workflow from a shell, with an input to fill in."""
    schema = _schema(version)
    parts = properties(schema, schema)
    sample = {name: part.get("default", "...") for name, part in parts.items()}
    body = json.dumps({"input": sample}).decode().replace("'", "'\\''")
    url = request.build_absolute_uri(f"/v1/workflows/{workflow.name}/run")
    return (
        f'curl -s -X POST "{url}?wait=30" \\\n  -H "Authorization: Bearer $ORCHESTRA_KEY" \\\n'
        f"  -H 'Content-Type: application/json' \\\n  -d '{body}'"
    )
