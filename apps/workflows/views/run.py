"""`/runs/<ref>`: a run as it goes on, in the whole and in the parts that change."""

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.common import json
from apps.common.errors import NotFound
from apps.workflows import selectors
from apps.workflows.models import Run
from apps.workflows.serializers.run_page import page as pages
from apps.workflows.serializers.run_page.events import history_of, lines_of
from apps.workflows.serializers.run_page.inspector import Selection, inspected, value_of

MOST_DIGITS = 9  # of a number in the address
KEYS = (  # of the page, for the sheet of shortcuts
    ("Next, previous node", ("]", "[")),
    ("Zoom the timeline in, out", ("+", "-")),
    ("Fit what is selected", ("z",)),
    ("Earlier, later", ("Shift \N{LEFTWARDS ARROW}", "Shift \N{RIGHTWARDS ARROW}")),
    ("The whole run", ("0",)),
)


@require_GET
@page()
def show(request: PageRequest, ref: str) -> HttpResponse:
    """Show a run."""
    with pages.one_moment():
        run = selectors.find_run(ref)
        visits = pages.visits_of(run)
        context = {"head": pages.head_of(run, visits), "body": pages.body_of(run, visits)}
        panel = inspected(run, _selection(request, run))
    curl = pages.curl_of(run, request.build_absolute_uri("/"))
    names = {"run": run, "panel": panel, "curl": curl, "page_keys": KEYS}
    return render(request, "workflows/run/page.html", context | names | _rights(request))


@require_GET
@page()
def head(request: PageRequest, ref: str) -> HttpResponse:
    """Give what stands above the graph, as it is now."""
    run = selectors.find_run(ref)
    context = {"head": pages.head_of(run, pages.visits_of(run)), "run": run, "swap": True}
    waiting = {"open_count": selectors.count_open_approvals()}  # the navigation shows it
    return render(request, "workflows/run/_head.html", context | waiting | _rights(request))


@require_GET
@page()
def state(_request: PageRequest, ref: str) -> HttpResponse:
    """Give the script what it begins with, as it is now."""
    with pages.one_moment():
        run = selectors.find_run(ref)
        return HttpResponse(pages.body_of(run, pages.visits_of(run)).state, content_type="application/json")


@require_GET
@page()
def inspector(request: PageRequest, ref: str) -> HttpResponse:
    """Give the inspector of what is selected."""
    run = selectors.find_run(ref)
    panel = inspected(run, _selection(request, run))
    return render(request, "workflows/run/_inspector.html", {"panel": panel, "run": run} | _rights(request))


@require_GET
@page()
def history(request: PageRequest, ref: str) -> HttpResponse:
    """Give the events of a run, a page of them."""
    run = selectors.find_run(ref)
    found = history_of(
        run,
        view=request.GET.get("view", "compact"),
        kind=request.GET.get("type", ""),
        after=_number(request.GET.get("after", "0")),
        newest_first=request.GET.get("order") == "desc",
    )
    return render(request, "workflows/run/_history.html", {"history": found, "run": run})


@require_GET
@page()
def download_history(_request: PageRequest, ref: str) -> StreamingHttpResponse:
    """Give all events of a run as a file, a line of JSON for each."""
    run = selectors.find_run(ref)
    headers = {"Content-Disposition": f'attachment; filename="run-{run.pk}-events.ndjson"'}
    lines = list(lines_of(run))  # within the scope of the request
    return StreamingHttpResponse(iter(lines), content_type="application/x-ndjson", headers=headers)


@require_GET
@page()
def download_value(request: PageRequest, ref: str, name: str) -> HttpResponse:
    """Give a whole input, output or context as a file."""
    if name not in ("input", "output", "context"):
        raise NotFound(f"A run has no value '{name[:40]}'.")
    run = selectors.find_run(ref)
    body = json.dumps(value_of(run, _selection(request, run), name), indent=True)
    headers = {"Content-Disposition": f'attachment; filename="run-{run.pk}-{name}.json"'}
    return HttpResponse(body, content_type="application/json", headers=headers)


def _rights(request: PageRequest) -> dict[str, Any]:
    names = {"may_run": Capability.RUN, "may_edit": Capability.EDIT, "may_manage": Capability.MANAGE}
    return {name: request.access.can(needed) for name, needed in names.items()}


def _selection(request: PageRequest, run: Run) -> Selection:
    """What the address selects; a failed run opens with the node that failed."""
    wanted = request.GET
    if "node" not in wanted and "tab" not in wanted and run.status == "failed" and isinstance(run.error, dict):
        return Selection(str(run.error.get("node", "")))
    return Selection(
        node=wanted.get("node", "")[:128],
        visit=_number(wanted.get("visit", "")),
        index=_number(wanted.get("index", ""), -1),
        tab=wanted.get("tab", "")[:20],
        page=_number(wanted.get("page", "")),
        search=wanted.get("q", "")[:200],
        level=wanted.get("level", "")[:10],
    )


def _number(text: str, otherwise: int = 0) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else otherwise
