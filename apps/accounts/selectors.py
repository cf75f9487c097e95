"""Who is asking, and where they belong."""

from collections.abc import Sequence
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from django_scopes import get_scope, scopes_disabled

from apps.accounts.models import ApiKey, Capability, Invitation, Membership, Organization, Role, User
from apps.common.database import first_row
from apps.common.errors import NotFound
from apps.common.selectors import find_by_id

_KEY_FIELDS = [field.attname for field in ApiKey._meta.concrete_fields]
_ORGANIZATION_FIELDS = [field.attname for field in Organization._meta.concrete_fields]

# At every request: written out, because the ORM takes four times as long to put it together as the database to answer.
_KEY_BY_PUBLIC_ID = f"""
SELECT {", ".join(f"one.{name}" for name in _KEY_FIELDS)},
       {", ".join(f"organization.{name}" for name in _ORGANIZATION_FIELDS)}
FROM accounts_apikey AS one JOIN accounts_organization AS organization ON organization.id = one.organization_id
WHERE one.public_id = %(public_id)s
"""  # noqa: S608 - made of column names


def api_key_by_public_id(public_id: str) -> ApiKey | None:
    """Give the key with its organization, in one query; which organization is what the caller wants to know."""
    row = first_row(_KEY_BY_PUBLIC_ID, public_id=public_id)
    if row is None:
        return None
    key = ApiKey.from_db(connection.alias, _KEY_FIELDS, row[: len(_KEY_FIELDS)])
    key.scopes = orjson.loads(key.scopes)  # Django leaves reading JSON to the field
    key.organization = Organization.from_db(connection.alias, _ORGANIZATION_FIELDS, row[len(_KEY_FIELDS) :])
    return key


def organization_in_scope() -> UUID | None:
    """Give the id of the organization whose rows can be seen here; None outside of any scope."""
    found = get_scope().get("organization")
    return found.pk if isinstance(found, Organization) else found


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


def valid_keys() -> QuerySet[ApiKey]:
    """Give the keys of the organization in scope that open something now, by name."""
    return keys().exclude(expires_at__lte=Now()).order_by("name", "id")


def keys_made_by(user_id: UUID) -> QuerySet[ApiKey]:
    """Give the valid keys that somebody made, also with a key of theirs."""
    return valid_keys().filter(created_by=user_id)


def members() -> QuerySet[Membership]:
    """Give the members of the organization in scope, by name."""
    return Membership.objects.select_related("user").order_by("user__username")


def managers(most: int = 3) -> list[str]:
    """Give some who may manage the organization in scope, by name: whom others have to ask."""
    able = [role for role in Role if Capability.MANAGE in role.capabilities]
    return [one.user.username for one in members().filter(role__in=able)[:most]]


def find_member(ref: str | UUID) -> Membership:
    """Give the membership with this id; raises NotFound."""
    return find_by_id(members(), ref)


def count_owners() -> int:
    """Count the owners of the organization in scope."""
    return Membership.objects.filter(role=Role.OWNER).count()


def invitations() -> QuerySet[Invitation]:
    """Give the invitations of the organization in scope that may still be accepted, the newest first."""
    return Invitation.objects.filter(expires_at__gt=Now()).select_related("invited_by").order_by("-created_at", "-id")


def invitations_from(user_id: UUID) -> QuerySet[Invitation]:
    """Give the open invitations that somebody has sent."""
    return invitations().filter(invited_by=user_id)


def organization_for_command(slug: str | None) -> Organization:
    """Give the organization a command works in: the one named, else the first."""
    found = organizations().filter(slug=slug).first() if slug else organizations().first()
    if found is None and slug:
        raise NotFound(f"There is no organization '{slug}'; `bin/manage organizations list` shows them.")
    if found is None:
        raise NotFound("There is no organization yet; `bin/manage organizations create NAME` founds one.")
    return found
