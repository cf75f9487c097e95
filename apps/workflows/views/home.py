"""The home page: what needs somebody, how the last day went, and where to go on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.accounts.selectors import managers
from apps.common.clock import now
from apps.workflows.lists import home as lists
from apps.workflows.lists.query import RunQuery, Term
from apps.workflows.views.run_list import url_of

SEEN = "home_seen"  # the cookie: when the visit before began, and when somebody was here last
VISIT = timedelta(minutes=30)  # who comes back later begins another visit
MEMORY = timedelta(days=30)
HEIGHT = 56  # of the strip


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar of the strip as it is drawn."""

    x: int
    label: str
    url: str
    parts: list[tuple[str, int, int]]  # class, y and height, from the bottom up


@require_safe
@page()
def home(request: PageRequest) -> HttpResponse:
    """Show the page, and remember that somebody was here."""
    moment, organization = now(), request.access.organization.pk
    since = _since(request, moment)
    bars = lists.strip(organization, moment)
    failed = url_of(RunQuery((Term("status", "failed"), Term("since", f"{since:%Y-%m-%dT%H:%M}"))))
    needs, may_manage = lists.needs(organization, since), request.access.can(Capability.MANAGE)
    context = {
        "needs": needs,
        "managers": [] if needs.model or may_manage else managers(),
        "was_here": SEEN in request.COOKIES,
        "failed_url": failed,
        "most": lists.MOST,
        "bars": _drawn(bars),
        "height": HEIGHT,
        "width": lists.BARS * 10,
        "sums": _sums(bars),
        "failing": lists.failing(organization, moment),
        "failing_urls": url_of(RunQuery((Term("status", "failed"), Term("since", "24h")))),
        "facts": lists.health(organization),
        "recent": lists.recent(organization),
        "may_run": request.access.can(Capability.RUN),
        "may_edit": request.access.can(Capability.EDIT),
        "may_manage": may_manage,
    }
    response = render(request, "workflows/home.html", context)
    value = f"{since.timestamp():.0f}.{moment.timestamp():.0f}"
    response.set_cookie(SEEN, value, max_age=MEMORY, httponly=True, samesite="Lax", secure=request.is_secure())
    return response


def _since(request: HttpRequest, moment: datetime) -> datetime:
    """Give when the visit before this one ended; who was never here gets the last day."""
    before, _, last = request.COOKIES.get(SEEN, "").partition(".")
    if not (before.isdecimal() and last.isdecimal() and len(before + last) < len("9" * 24)):
        return moment - timedelta(days=1)
    here, started = (datetime.fromtimestamp(int(text), moment.tzinfo) for text in (last, before))
    return max(started if moment - here < VISIT else here, moment - MEMORY)


def _drawn(bars: list[lists.Bar]) -> list[Drawn]:
    drawn = []
    for number, (bar, ended, going_on, failed) in enumerate(lists.heights(bars, HEIGHT)):
        y, parts = HEIGHT, []
        for css, height in (("ended", ended), ("going", going_on), ("failed", failed)):
            if height:
                y -= height
                parts.append((css, y, height))
        drawn.append(Drawn(number * 10, _label(bar), _url(bar), parts))
    return drawn


def _label(bar: lists.Bar) -> str:
    runs = "1 run" if bar.total == 1 else f"{bar.total:,} runs"
    return f"{bar.since:%H:%M} to {bar.until:%H:%M} UTC: {runs}, {bar.failed:,} failed"


def _url(bar: lists.Bar) -> str:
    since, until = (f"{moment:%Y-%m-%dT%H:%M}" for moment in (bar.since, bar.until))
    return url_of(RunQuery((Term("since", since), Term("until", until))))


def _sums(bars: list[lists.Bar]) -> list[tuple[str, str, int, str]]:
    """Give what the strip adds up to: the look, the word, the number and the list behind it."""

    def listed(status: str) -> str:
        return reverse("runs") + f"?q=since:24h+status:{status}"

    counts: dict[str, Any] = {}
    for bar in bars:
        for status, count in bar.counts.items():
            counts[status] = counts.get(status, 0) + count
    going = sum(bar.going_on for bar in bars)
    return [
        ("completed", "completed", counts.get("completed", 0), listed("completed")),
        ("failed", "failed", counts.get("failed", 0), listed("failed")),
        ("running", "going on", going, listed("pending,running,waiting,paused")),
    ]
