"""`/usage`: what language models have cost, by what asked them; each line leads to its calls or runs."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.pages import PageRequest, page
from apps.common.clock import now
from apps.common.money import usd
from apps.common.pagination import page_of_rows
from apps.observability.models import Usage
from apps.observability.selectors import usage
from apps.observability.selectors.usage import FILTERS, Sums

TIMES: Mapping[str, tuple[str, timedelta]] = {
    "24h": ("24 h", timedelta(hours=24)),
    "7d": ("7 d", timedelta(days=7)),
    "30d": ("30 d", timedelta(days=30)),
}
USUAL_TIME = "7d"
GROUPS = {
    "model": "Model",
    "agent": "Agent",
    "workflow": "Workflow",
    "caller": "Caller",
    "day": "Day",
    "run": "Run",
}
NONE = {  # what a call without one is called
    "agent": "no agent",
    "workflow": "no workflow",
    "caller": "nobody",
    "run": "outside of runs",
}
MOST_GROUPS = 100
CALLS_PER_PAGE = 25
CSV_FIGURES = (
    "calls", "failed", "lost", "cached", "unpriced", "input_tokens", "cached_tokens", "output_tokens",
    "reasoning_tokens",
)  # fmt: skip
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for."""

    time: str
    group: str
    filters: Mapping[str, str]
    run: UUID | None

    @property
    def since(self) -> datetime:
        """Give when the time begins."""
        return now() - TIMES[self.time][1]

    def query(self, **changes: str | None) -> str:
        """Give the query of the address with some of it changed."""
        parts = {"since": self.time, "by": self.group, **self.filters} | ({"run": str(self.run)} if self.run else {})
        return f"?{urlencode({name: value for name, value in (parts | changes).items() if value is not None})}"


@dataclass(frozen=True, slots=True)
class Tab:
    """A choice in the row of tabs."""

    label: str
    url: str
    current: bool
    count: None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A group with its bar in percent of the most expensive one, and where it leads."""

    label: str
    sums: Sums
    bar: float
    url: str
    runs: str


@require_safe
@page()
def usage_page(request: PageRequest) -> HttpResponse:
    """Show cost and tokens of a time, by what asked, and the calls themselves."""
    asked = _asked(request)
    found = _calls(asked)
    groups = usage.sums_by(found, asked.group, MOST_GROUPS + 1)
    calls = page_of_rows(found, cursor=request.GET.get("cursor") or None, limit=CALLS_PER_PAGE)
    context = {
        "asked": asked,
        "total": usage.sums(found),
        "times": [Tab(label, asked.query(since=name), name == asked.time) for name, (label, _) in TIMES.items()],
        "groups": [Tab(label, asked.query(by=name), name == asked.group) for name, label in GROUPS.items()],
        "group": GROUPS[asked.group],
        "lines": list(_lines(asked, groups[:MOST_GROUPS])),
        "is_cut": len(groups) > MOST_GROUPS,
        "chips": _chips(asked),
        "calls": calls.rows,
        "next_cursor": calls.next_cursor,
        "cursor": request.GET.get("cursor"),
        "csv": reverse("usage_csv") + asked.query(),
    }
    return render(request, "observability/usage.html", context)


@require_safe
@page()
def usage_csv(request: PageRequest) -> HttpResponse:
    """Give the same sums as a file for spreadsheets."""
    asked = _asked(request)
    found = _calls(asked)
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow([asked.group, "cost_usd", *CSV_FIGURES])
    for name, sums in usage.sums_by(found, asked.group, 100_000):
        writer.writerow([_harmless(name), usd(sums.cost_micro_usd), *(getattr(sums, one) for one in CSV_FIGURES)])
    headers = {"Content-Disposition": f'attachment; filename="usage-by-{asked.group}-{asked.time}.csv"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _asked(request: HttpRequest) -> Asked:
    """What the address says; what nobody offers there counts as nothing."""
    given = request.GET
    time, group = given.get("since", ""), given.get("by", "")
    return Asked(
        time if time in TIMES else USUAL_TIME,
        group if group in GROUPS else "model",
        {name: given[name][:200].replace("\0", "") for name in FILTERS if name in given},
        _run(given.get("run", "")),
    )


def _calls(asked: Asked) -> QuerySet[Usage]:
    filters: dict[str, str | None] = {name: asked.filters.get(name) for name in FILTERS}
    return usage.calls(since=asked.since, until=None, run=asked.run, outcome=None, **filters)


def _run(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _lines(asked: Asked, groups: list[tuple[str, Sums]]) -> Iterator[Line]:
    dearest = max((sums.cost_micro_usd for _, sums in groups), default=0)
    most = max((sums.tokens for _, sums in groups), default=0)
    for name, sums in groups:
        # Where nothing has a price, the bars are those of the tokens.
        share = sums.cost_micro_usd / dearest if dearest else sums.tokens / most if most else 0
        label = name or NONE.get(asked.group, "unknown")
        yield Line(label, sums, round(share * 100, 2), _calls_of(asked, name), _runs_of(asked, name))


def _calls_of(asked: Asked, name: str) -> str:
    """Where the calls of a group are; days have no filter of their own, and run ids may be none."""
    if asked.group in FILTERS:
        return asked.query(**{asked.group: name}) + "#calls"
    return asked.query(run=name) + "#calls" if asked.group == "run" and name else ""


def _runs_of(asked: Asked, name: str) -> str:
    if not name:
        return ""
    if asked.group == "run":
        return f"/runs/{name}"
    if asked.group == "workflow":
        quoted = '"' + name.replace('"', "") + '"'
        return f"/runs?{urlencode({'q': f'workflow:{quoted} since:{asked.time}'})}"
    return ""


def _chips(asked: Asked) -> list[tuple[str, str]]:
    """What is filtered by, each with the address without it."""
    chips = [
        (f"{GROUPS[name]}: {value or NONE.get(name, 'none')}", asked.query(**{name: None}))
        for name, value in asked.filters.items()
    ]
    return [*chips, (f"Run: {str(asked.run)[-8:]}", asked.query(run=None))] if asked.run else chips


def _harmless(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(STARTS_A_FORMULA) else text
