"""Who is asking, and where they belong."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet
from django_scopes import scopes_disabled

from apps.accounts.models import ApiKey, Membership, Organization, User


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


def has_owner(organization: Organization) -> bool:
    """Tell whether somebody owns the organization."""
    with scopes_disabled():
        return Membership.objects.filter(organization=organization, role="owner").exists()
