"""The list of runs: filtering it, looking into a run, acting on many, and keeping a filter as a view."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.common.errors import BadRequest, DomainError, Invalid, NotFound
from apps.common.templatetags.ui import LOOKS
from apps.workflows import selectors
from apps.workflows.engine.states import RunStatus
from apps.workflows.lists import runs
from apps.workflows.lists.query import RunQuery, chips, parse
from apps.workflows.models import Run, SavedView
from apps.workflows.services import bulk, saved_views

MOST_NODES = 50  # that the drawer shows of a run
MOST_SHOWN = 20_000  # characters of an input or output there
TABS = (RunStatus.RUNNING, RunStatus.WAITING, RunStatus.FAILED, RunStatus.COMPLETED, RunStatus.CANCELLED)
SELDOM = (RunStatus.PENDING, RunStatus.PAUSED)  # have a tab while there are any
SINCE = (("1h", "The last hour"), ("24h", "The last 24 hours"), ("7d", "The last 7 days"))
TRIGGERS = (
    ("manual", "People, here"),
    ("schedule", "Schedules"),
    ("api", "The API"),
    ("run", "Other runs"),
    ("mcp", "MCP"),
    ("a2a", "A2A"),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """What the page shows of a filter."""

    rows: Sequence[runs.Row] = ()
    next_cursor: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    faults: Sequence[str] = ()


@require_safe
@page()
def run_list(request: PageRequest) -> HttpResponse:
    """Show the list, or only what another filter changes of it."""
    text, cursor = request.GET.get("q", ""), request.GET.get("cursor")
    query = parse(text)
    listed = _listed(query, cursor)
    context = {
        "query": query,
        "text": text if listed.faults else str(query),
        "listed": listed,
        "cursor": cursor,
        "tabs": _tabs(query, listed.counts),
        "chips": [(str(term), url_of(rest)) for term, rest in chips(query)],
        "suggestions": _suggestions(query),
        "may_act": request.access.can(Capability.RUN),
        "newest": listed.rows[0].id if listed.rows else "",
        "has_runs": bool(listed.rows) or Run.objects.exists(),
        "views": _views(request, query),
    }
    return render(request, "workflows/_run_list.html" if is_fragment(request) else "workflows/runs.html", context)


@require_safe
@page()
def news(request: PageRequest) -> HttpResponse:
    """Show what has changed since the list was made: how many runs have come, and the rows that were open."""
    query = parse(request.GET.get("q", ""))
    if query.faults:
        raise Invalid(query.faults[0], code="invalid_filter")
    seen = _ids([request.GET.get("newest", "")])
    context = {
        "newer": runs.count_newer(query, seen[0] if seen else None),
        "most": runs.MOST_NEW,
        "url": url_of(query),
        "rows": runs.rows_of(_ids(request.GET.getlist("open"))),
        "tabs": _tabs(query, runs.counts(query)),
    }
    return render(request, "workflows/_run_news.html", context)


@require_safe
@page()
def peek(request: PageRequest, ref: str) -> HttpResponse:
    """Show the most important of a run in a drawer."""
    run = selectors.find_run(ref)
    nodes = selectors.node_runs(run).filter(index=-1).order_by("created_at", "id").defer("input", "output")
    context = {
        "run": run,
        "row": runs.rows([run])[0],
        "nodes": nodes.prefetch_related(None)[:MOST_NODES],
        "input": run.input[:MOST_SHOWN],
        "output": (run.output or "")[:MOST_SHOWN],
        "may_act": request.access.can(Capability.RUN),
    }
    return render(request, "workflows/_run_peek.html", context)


@require_safe
@page(Capability.RUN)
def confirm(request: PageRequest) -> HttpResponse:
    """Ask whether to act, and say on how many runs."""
    act, chosen = _act(request.GET), _chosen(request.GET)
    context = {
        "act": act,
        "fitting": bulk.applicable(act, chosen)[: bulk.MOST_RUNS].count(),
        "chosen": chosen[: bulk.MOST_RUNS + 1].count(),
        "most": bulk.MOST_RUNS,
        "all": "all" in request.GET,
        "ids": [] if "all" in request.GET else request.GET.getlist("run"),
        "q": request.GET.get("q", ""),
    }
    return render(request, "workflows/_run_confirm.html", context)


@require_POST
@page(Capability.RUN)
def act_on_many(request: PageRequest) -> HttpResponse:
    """Cancel or retry the chosen runs, and go back to the list."""
    act, chosen = _act(request.POST), _chosen(request.POST)
    found = bulk.applicable(act, chosen).order_by("-created_at", "-id").values_list("pk", flat=True)
    outcome = bulk.act_on_runs(act, list(found[: bulk.MOST_RUNS]), by=request.access.actor)
    past = {"cancel": "Cancelled", "retry": "Retrying"}[act]
    messages.success(request, f"{past} {outcome.done:,} {'run' if outcome.done == 1 else 'runs'}.")
    for reason in list(dict.fromkeys(outcome.refused))[:3]:
        messages.error(request, reason)
    return HttpResponseRedirect(url_of(parse(request.POST.get("q", ""))))


@require_POST
@page()
def save_view(request: PageRequest) -> HttpResponse:
    """Keep the filter under a name."""
    query = parse(request.POST.get("q", ""))
    name = request.POST.get("name", "")
    try:
        view = saved_views.save_view(
            organization=request.access.organization, user=request.user, name=name, query=query
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"Saved the view '{view.name}'.")
    return HttpResponseRedirect(url_of(query))


@require_POST
@page()
def delete_view(request: PageRequest, identifier: UUID) -> HttpResponse:
    """Forget a view."""
    view = saved_views.delete_view(request.user, identifier)
    messages.success(request, f"Deleted the view '{view.name}'.")
    return HttpResponseRedirect(url_of(parse(request.POST.get("q", ""))))


def url_of(query: RunQuery) -> str:
    """Give the address of the list with a filter."""
    text = str(query)
    return reverse("runs") + (f"?{urlencode({'q': text})}" if text else "")


def _listed(query: RunQuery, cursor: str | None) -> Listed:
    """Give what a filter lists; what it names and does not exist is a fault of the filter."""
    if query.faults:
        return Listed(faults=query.faults)
    try:
        found = runs.page(query, cursor)
        return Listed(runs.rows(found.rows), found.next_cursor, runs.counts(query))
    except NotFound as error:
        return Listed(faults=(error.detail,))


def _tabs(query: RunQuery, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    chosen = query.statuses
    seldom = [status for status in SELDOM if counts.get(status) or chosen == [status]]
    tabs: list[dict[str, Any]] = [{"label": "All", "url": url_of(query.lacking("status")), "current": not chosen}]
    tabs += [
        {
            "label": LOOKS[status].word,
            "url": url_of(query.having("status", status)),
            "current": chosen == [status],
            "count": _count(counts.get(status, 0)),
        }
        for status in (*seldom, *TABS)
    ]
    return tabs


def _count(number: int) -> str | None:
    if not number:
        return None
    return f"{number:,}+" if number >= runs.MOST_COUNTED else f"{number:,}"


def _suggestions(query: RunQuery) -> list[tuple[str, list[tuple[str, str]]]]:
    """Give conditions to add by a click, in groups."""
    return [
        ("Started within", [(label, url_of(query.having("since", value))) for value, label in SINCE]),
        ("Started by", [(label, url_of(query.having("trigger", value))) for value, label in TRIGGERS]),
    ]


def _views(request: PageRequest, query: RunQuery) -> list[tuple[SavedView, str, bool]]:
    """Give the person's views, each with its address and whether it is what is shown."""
    kept = SavedView.objects.filter(user=request.user).order_by("name")
    return [(view, url_of(parse(view.query)), view.query == str(query)) for view in kept]


def _chosen(sent: QueryDict) -> QuerySet[Run]:
    """Give the runs that were ticked, or all that the filter matches."""
    if "all" not in sent:
        return Run.objects.filter(pk__in=_ids(sent.getlist("run")))
    query = parse(sent.get("q", ""))
    if query.faults:
        raise Invalid(query.faults[0], code="invalid_filter")
    return runs.matching(query)


def _act(sent: QueryDict) -> str:
    act = sent.get("act", "")
    if act not in bulk.ACTS:
        raise BadRequest(f"There is no act '{act[:40]}'.", code="unknown_act")
    return act


def _ids(texts: Iterable[str]) -> list[UUID]:
    """Give those of the texts that are ids."""
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found[: bulk.MOST_RUNS]
