"""The link of an invitation: joining with an account, or making one."""

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.accounts.access import address_of, bucket, refuse_excess
from apps.accounts.models import Invitation, Organization, User
from apps.accounts.pages import ORGANIZATION_KEY
from apps.accounts.services import members
from apps.common import limits
from apps.common.errors import BadRequest


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show who invites to what, and take the answer."""
    refuse_excess(limits.hit([bucket("auth", f"address:{address_of(request)}")]))
    found = members.find_invitation(token)
    if request.method != "POST":
        return _show(request, found)
    if isinstance(request.user, User):
        return _joined(request, members.accept(token, request.user))
    username, password = request.POST.get("username", ""), request.POST.get("password", "")
    try:
        user = members.sign_up(token, username=username, password=password)
    except BadRequest as wrong:
        return _show(request, found, {"refused": wrong.detail, "username": username}, status=422)
    login(request, user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return _joined(request, found.organization)


def _show(
    request: HttpRequest, found: Invitation, more: dict[str, str] | None = None, status: int = 200
) -> HttpResponse:
    context = {"invitation": found, "organization": found.organization, **(more or {})}
    return render(request, "accounts/invitation.html", context, status=status)


def _joined(request: HttpRequest, organization: Organization) -> HttpResponse:
    request.session[ORGANIZATION_KEY] = organization.slug
    messages.success(request, f"You have joined {organization}.")
    return HttpResponseRedirect("/")
