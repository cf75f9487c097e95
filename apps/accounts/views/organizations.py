"""Switching between one's organizations."""

from django.http import HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from apps.accounts.pages import ORGANIZATION_KEY, PageRequest, page
from apps.common.errors import NotFound


@require_POST
@page()
def switch(request: PageRequest) -> HttpResponse:
    """Enter another organization; what the person looks at next is that one's."""
    slug = request.POST.get("organization", "")
    if slug not in {one.organization.slug for one in request.memberships}:
        raise NotFound(f"There is no organization '{slug[:50]}'.", code="organization_not_found")
    request.session[ORGANIZATION_KEY] = slug
    return HttpResponseRedirect("/")
