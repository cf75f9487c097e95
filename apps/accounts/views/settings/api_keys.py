"""An organization's API keys: made once, shown once, revoked at once."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import selectors
from apps.accounts.models import Capability, Role
from apps.accounts.pages import PageRequest, page
from apps.accounts.services import keys
from apps.accounts.views.settings.sections import show
from apps.common.curl import curl
from apps.common.errors import BadRequest, PermissionDenied
from apps.common.selectors import find_by_id

LONGEST_NAME = 100
LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until it is revoked"))
USUAL_LIFETIME = "90"
SCOPES = (
    (Capability.VIEW, "see"),
    (Capability.RUN, "run and decide"),
    (Capability.EDIT, "change workflows"),
    (Capability.MANAGE, "manage members and keys"),
)


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.MANAGE)
def api_keys(request: PageRequest) -> HttpResponse:
    """List the keys, or make one; the answer to that is the only page that ever shows it."""
    if request.method != "POST":
        return _show(request)
    try:
        created = keys.grant_key(request.access, **_wanted(request))
    except (BadRequest, PermissionDenied) as refused:
        return _show(request, {"refused": refused.detail, "sent": request.POST}, status=refused.status)
    command = curl(request, "/v1/me", key=created.secret)
    return _show(request, {"created": created.key, "secret": created.secret, "curl": command})


@require_POST
@page(Capability.MANAGE)
def revoke(request: PageRequest, ref: str) -> HttpResponse:
    """End a key at once."""
    key = find_by_id(selectors.keys(), ref)
    keys.revoke_key(key)
    messages.success(request, f"{key.name} was revoked.")
    return HttpResponseRedirect(reverse("settings_api_keys"))


def _show(request: PageRequest, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    allowed = [role for role in Role if request.access.role.includes(role)]
    shown = {
        "keys": selectors.keys().order_by("-created_at", "-id"),
        "roles": [(role.value, role.label) for role in allowed],
        "scopes": SCOPES,
        "lifetimes": LIFETIMES,
        "usual_lifetime": USUAL_LIFETIME,
        "usual_role": Role.OPERATOR.value,
        **(context or {}),
    }
    return show(request, "api_keys", shown, status)


def _wanted(request: PageRequest) -> dict[str, Any]:
    name, days = request.POST.get("name", "").strip(), request.POST.get("days", USUAL_LIFETIME)
    scopes = request.POST.getlist("scopes")
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadRequest(f"The name must have 1 to {LONGEST_NAME} characters.", code="invalid_name")
    if days not in dict(LIFETIMES) or not set(scopes) <= {scope.value for scope, _ in SCOPES}:
        raise BadRequest("Choose how long it is valid, and what it may do, from what is offered.", code="invalid_key")
    if (role := request.POST.get("role", "")) not in Role.values:
        raise BadRequest(f"The role is one of {', '.join(Role.values)}.", code="invalid_role")
    lifetime = timedelta(days=int(days)) if days else None
    return {"name": name, "role": Role(role), "scopes": scopes, "lifetime": lifetime}
