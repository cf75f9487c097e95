"""The members of an organization: who they are, inviting, changing, removing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import selectors
from apps.accounts.models import ApiKey, Capability, Membership, Role
from apps.accounts.pages import PageRequest, page
from apps.accounts.services import members as services
from apps.accounts.views.settings.sections import show
from apps.common.errors import BadRequest, Conflict, PermissionDenied
from apps.common.selectors import find_by_id

LONGEST_EMAIL = 254


@dataclass(frozen=True, slots=True)
class Row:
    """A member as the page shows them, with the valid keys they made where these would end with them."""

    member: Membership
    is_own: bool
    may_change: bool
    keys: Sequence[ApiKey]


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def members(request: PageRequest) -> HttpResponse:
    """List the members and the open invitations, or invite somebody."""
    if request.method != "POST":
        return _show(request)
    request.access.require(Capability.MANAGE)
    try:
        created = services.invite(request.access, role=_role(request), email=_email(request))
    except (BadRequest, PermissionDenied) as refused:
        return _show(request, {"refused": refused.detail}, status=refused.status)
    link = request.build_absolute_uri(reverse("invitation", args=[created.token]))
    return _show(request, {"link": link, "invited": created.invitation})


@require_POST
@page(Capability.MANAGE)
def change(request: PageRequest, ref: str) -> HttpResponse:
    """Give a member another role; where keys or invitations of theirs end with it, say so and ask first."""
    member, role = selectors.find_member(ref), _role(request)
    try:
        beyond = services.what_would_end(request.access, member, role)
    except (Conflict, PermissionDenied) as refused:
        return _show(request, {"refused": refused.detail}, status=refused.status)
    if beyond and "confirmed" not in request.POST:
        return _show(request, {"asked": {"member": member, "role": role, "beyond": beyond}})
    return _act(request, partial(services.change_role, request.access, member, role), f"{member.user} is {role} now.")


@require_POST
@page()
def remove(request: PageRequest, ref: str) -> HttpResponse:
    """Remove a member; everybody may leave."""
    member = selectors.find_member(ref)
    is_own = member.user_id == request.user.pk
    if not is_own:
        request.access.require(Capability.MANAGE)
    # Somebody who leaves without managing the organization does not decide what stays open behind them.
    keep = "keys_asked" in request.POST and "revoke_keys" not in request.POST and request.access.can(Capability.MANAGE)
    left = f"You have left {request.access.organization}." if is_own else f"{member.user} was removed."
    act = partial(services.remove_member, request.access, member, keep_keys=keep)
    return _act(request, act, left, after="/" if is_own else "")


@require_POST
@page(Capability.MANAGE)
def withdraw(request: PageRequest, ref: str) -> HttpResponse:
    """End an invitation."""
    services.withdraw(find_by_id(selectors.invitations(), ref))
    messages.success(request, "The invitation was withdrawn.")
    return HttpResponseRedirect(reverse("settings_members"))


def _act(request: PageRequest, act: Any, done: str, *, after: str = "") -> HttpResponse:
    try:
        act()
    except (Conflict, PermissionDenied) as refused:
        return _show(request, {"refused": refused.detail}, status=refused.status)
    messages.success(request, done)
    return HttpResponseRedirect(after or reverse("settings_members"))


def _show(request: PageRequest, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    may_manage = request.access.can(Capability.MANAGE)
    made = _keys_by_maker()
    shown = {
        "members": [_row(request, one, made.get(one.user_id, ())) for one in selectors.members()],
        "invitations": selectors.invitations() if may_manage else [],
        "roles": [(role.value, role.label) for role in Role if request.access.role.includes(role)],
        "link": None,
        **(context or {}),
    }
    return show(request, "members", shown, status)


def _row(request: PageRequest, member: Membership, made: Sequence[ApiKey]) -> Row:
    is_own = member.user_id == request.user.pk
    may_change = _may_change(request, member)
    return Row(member, is_own, may_change, made if may_change or is_own else ())


def _keys_by_maker() -> Mapping[UUID, Sequence[ApiKey]]:
    made: dict[UUID, list[ApiKey]] = defaultdict(list)
    for key in selectors.valid_keys():
        if key.created_by_id:
            made[key.created_by_id].append(key)
    return made


def _may_change(request: PageRequest, member: Membership) -> bool:
    return request.access.can(Capability.MANAGE) and request.access.role.includes(Role(member.role))


def _role(request: PageRequest) -> Role:
    try:
        return Role(request.POST.get("role", ""))
    except ValueError:
        raise BadRequest(f"The role is one of {', '.join(Role.values)}.", code="invalid_role") from None


def _email(request: PageRequest) -> str:
    email = request.POST.get("email", "").strip()
    try:
        if email:
            validate_email(email)
    except ValidationError:
        raise BadRequest("This is not an e-mail address.", code="invalid_email") from None
    return email[:LONGEST_EMAIL]
