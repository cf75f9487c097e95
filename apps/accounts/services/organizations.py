"""Founding organizations and ending the access of members."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import F
from django.utils.text import slugify
from django_scopes import scope

from apps.accounts.models import Membership, Organization, Role, User
from apps.accounts.services.keys import create_key
from apps.common.errors import BadRequest

LONGEST_NAME = 100
SLUG_LENGTH = 40
PASSWORD_BYTES = 15

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CreatedOrganization:
    """A new organization with all that is needed to sign in to it."""

    organization: Organization
    owner: User
    password: str | None  # None for an owner who had an account before
    api_key_secret: str

    def __repr__(self) -> str:
        return f"CreatedOrganization({self.organization.slug})"


@transaction.atomic
def create_organization(
    *, name: str, owner_username: str | None = None, password: str | None = None
) -> CreatedOrganization:
    """Found an organization with an owner and an owner's API key.

    The owner is a new user with a random password unless one is given; an existing user keeps theirs.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadRequest(f"The name must have 1 to {LONGEST_NAME} characters.", code="invalid_name")
    organization = Organization.objects.create(name=name, slug=free_slug(name))
    owner, password = _owner(owner_username or f"{organization.slug}-owner", password)
    with scope(organization=organization):
        Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
        created = create_key(organization=organization, name="First key", role=Role.OWNER, created_by=owner)
    log.info("An organization was founded.", action="organization_created", organization=organization.slug)
    return CreatedOrganization(organization, owner, password, created.secret)


def revoke_tokens(membership: Membership) -> None:
    """End every access token that the member holds for this organization; the next refresh gives a new one."""
    Membership.objects.filter(pk=membership.pk).update(token_version=F("token_version") + 1)


def free_slug(name: str) -> str:
    """Give the slug of a name, with a number where another organization has it already."""
    wanted = slugify(name)[:SLUG_LENGTH].strip("-") or "organization"
    taken = set(Organization.objects.filter(slug__startswith=wanted).values_list("slug", flat=True))
    return next(slug for slug in _candidates(wanted) if slug not in taken)


def _candidates(wanted: str) -> Iterator[str]:
    yield wanted
    number = 2
    while True:
        yield f"{wanted}-{number}"
        number += 1


def _owner(username: str, password: str | None) -> tuple[User, str | None]:
    existing = User.objects.filter(username=username).first()
    if existing:
        return existing, None
    password = password or secrets.token_urlsafe(PASSWORD_BYTES)
    return User.objects.create_user(username=username, password=password), password
