"""Who is asking, and where they belong."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet
from django_scopes import scopes_disabled

from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.common.errors import NotFound


def api_key_by_public_id(public_id: str) -> ApiKey | None:
    """Give the key with its organization, in one query; which organization is what the caller wants to know."""
    with scopes_disabled():
        return ApiKey.objects.select_related("organization").filter(public_id=public_id).first()


def memberships_of(user_id: UUID) -> Sequence[Membership]:
    """Give a user's memberships with user and organization, in one query; the oldest organization first."""
    with scopes_disabled():
        memberships = Membership.objects.filter(user_id=user_id).select_related("user", "organization")
        return list(memberships.order_by("organization__created_at", "organization_id"))


def active_user(user_id: UUID) -> User | None:
    """Give a user who may sign in."""
    return User.objects.filter(pk=user_id, is_active=True).first()


def organizations() -> QuerySet[Organization]:
    """Give all organizations, the oldest first; for operators only."""
    return Organization.objects.order_by("created_at", "id")


def keys() -> QuerySet[ApiKey]:
    """Give the keys of the organization in scope that are not revoked."""
    return ApiKey.objects.filter(revoked_at=None).select_related("created_by")


def organization_for_command(slug: str | None) -> Organization:
    """Give the organization a command works in: the one named, else the first."""
    found = organizations().filter(slug=slug).first() if slug else organizations().first()
    if found is None and slug:
        raise NotFound(f"There is no organization '{slug}'; `bin/manage organizations list` shows them.")
    if found is None:
        raise NotFound("There is no organization yet; `bin/manage organizations create NAME` founds one.")
    return found
