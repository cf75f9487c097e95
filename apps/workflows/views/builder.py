"""The visual builder: one page that is an application of its own, on top of the same API as everybody's."""

from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.workflows import selectors
from apps.workflows.models import Workflow


@page()
def edit(request: PageRequest, ref: str) -> HttpResponse:
    """Show a workflow in the builder; who may not change workflows can look at it there."""
    workflow = selectors.find_workflow(ref)
    return render(request, "workflows/builder.html", {"workflow": workflow, "place": _place(request, workflow)})


def _place(request: PageRequest, workflow: Workflow) -> dict[str, str | bool]:
    """What the builder cannot ask the API for: which workflow, who asks, and with what token."""
    access = request.access
    return {
        "id": str(workflow.pk),
        "workflow": workflow.name,
        "title": workflow.title,
        "organization": access.organization.slug,
        "csrf": get_token(request),
        "canEdit": access.can(Capability.EDIT),
        "canRun": access.can(Capability.RUN),
    }
