"""What the command palette asks while somebody types."""

from django.http import HttpResponse

from apps.accounts.pages import PageRequest, page
from apps.common import json
from apps.common.palette import find

LONGEST = 100


@page()
def search(request: PageRequest) -> HttpResponse:
    """Find things of the organization by name."""
    text = request.GET.get("q", "").strip()[:LONGEST]
    return HttpResponse(json.dumps({"items": find(text) if text else []}), "application/json")
