"""`/ui`: every component in every state, for people who build pages and for the tests; only with DEBUG."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from apps.accounts.pages import PageRequest, page
from apps.common.templatetags.ui import LOOKS

LONG = "A name that goes on and on, as names of workflows do when nobody stops their authors from explaining themselves"
JSON = {
    "city": "Vienna",
    "topics": ["subsidies", "market", "rivals"],
    "found": {"count": 3, "complete": True, "missing": None, "ratio": 0.87},
    "text": "Austria covers up to 75 % of the cost\nof replacing a heating system.",
}


class ExampleForm(forms.Form):
    """A form with a help text, an error, and a field of each kind."""

    name = forms.CharField(help_text="People see it in lists.")
    model = forms.ChoiceField(choices=[("small", "Small"), ("large", "Large")])
    text = forms.CharField(label="Instructions", widget=forms.Textarea, required=False)


@dataclass(frozen=True)
class ExampleRow:
    """A row of the timeline."""

    name: str
    status: str
    tone: str
    queue: tuple[int, int]
    bar: tuple[int, int]
    took: str
    cost: str
    url: str = "#"
    selected: bool = False


ROWS = (
    ExampleRow("Planner", "completed", "completed", (0, 0), (0, 18), "412 ms", "$0.0001"),
    ExampleRow("Research · subsidies", "completed", "completed", (18, 2), (20, 40), "934 ms", "$0.0004", selected=True),
    ExampleRow("Research · market", "retrying", "retrying", (18, 3), (21, 24), "try 2/3", "$0.0003"),
    ExampleRow(LONG, "running", "running", (18, 4), (22, 78), "1.1 s", "—"),
)


@page()
def kitchen_sink(request: PageRequest) -> HttpResponse:
    """Show all components."""
    if not settings.DEBUG:
        raise Http404
    return render(request, "ui.html", _context())


def _context() -> dict[str, Any]:
    now = timezone.now()
    return {
        "statuses": list(LOOKS),
        "crumbs": [("Runs", "#"), ("Market brief", "#")],
        "facts": [
            ("Started", "12:15:48"),
            ("Duration", "2.3 s"),
            ("Nodes", "2 / 7 done"),
            ("Tokens", "3,580 in · 700 out"),
            ("Cost", "$0.0008"),
            ("Trigger", "Manual · ana@acme.test"),
        ],
        "tabs": [
            {"label": "All", "url": "?", "current": True, "count": None},
            {"label": "Running", "url": "?status=running", "current": False, "count": 3},
            {"label": "Failed", "url": "?status=failed", "current": False, "count": 9},
        ],
        "options": [("", "Any status"), ("running", "Running"), ("failed", "Failed")],
        "form": ExampleForm({"name": "", "model": "small"}),
        "json": JSON,
        "rows": ROWS,
        "long": LONG,
        "moments": [now, now - timedelta(minutes=2), now - timedelta(days=3), now + timedelta(hours=1)],
        "durations": [0.412, 2.3, 41, 245, 7_800, 273_600, None],
        "amounts": [0, 0.000267, 0.0021, 1234.5, None],
        "pairs": [("Model", "gpt-4o-mini · openai"), ("Latency", "601 ms"), ("Agent", LONG)],
        "id": "run_019f3a52-7c11-7bd0-9a1e-4f0d2c7Q2KD3",
        "curl": "curl -s -H 'Authorization: Bearer ork_live_...' http://127.0.0.1:8000/v1/runs",
    }
