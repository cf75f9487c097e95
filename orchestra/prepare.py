"""What `up` does inside Django: migrations and the first way in."""

import hmac
import secrets
from datetime import timedelta
from pathlib import Path

from django.core.management import call_command
from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django_scopes import scope, scopes_disabled

from apps.accounts import selectors
from apps.accounts.keys import read_secret
from apps.accounts.models import Membership, Organization, Role, User
from apps.accounts.services.keys import create_key
from apps.accounts.services.organizations import create_organization
from apps.common.clock import now
from apps.workflows.services.gallery import load_demos
from orchestra.access import Access, read_access, write_access
from orchestra.connect import point_django_at

__all__ = [
    "collect_static_files",
    "load_demo_workflows",
    "migrate",
    "pending_migrations",
    "point_django_at",
    "renew_access",
]

FIRST_ORGANIZATION = "Default"
FIRST_OWNER = "owner"
OF_PACKAGES = ["account", "admin", "drf_spectacular_sidecar", "rest_framework"]
KEY_RENEWAL = timedelta(days=30)  # a key that ends sooner is replaced


def pending_migrations() -> int:
    """Count the migrations that the database lacks."""
    executor = MigrationExecutor(connections["default"])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def migrate() -> None:
    """Apply every migration."""
    call_command("migrate", interactive=False, verbosity=0)


def collect_static_files() -> None:
    """Put what our pages need into STATIC_ROOT, with hashed names and compressed.

    The files of packages (the admin pages, the API documentation) are served as they are: to compress their megabytes
    would take longer than the rest of a first start.
    """
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=OF_PACKAGES)


def load_demo_workflows(slug: str) -> None:
    """Save the gallery's workflows in an organization."""
    load_demos(Organization.objects.get(slug=slug))


def renew_access(home: Path, url: str, *, own_database: bool) -> Access:
    """Write access.json: what still works stays, what does not is made anew."""
    known = read_access(home)
    organization = _organization(known.organization if known else "")
    if organization is None:
        access = _found(url)
    else:
        owner = _owner(organization)
        access = Access(
            url=url,
            api_key=_working_key(known, organization) or _new_key(organization, owner),
            organization=organization.slug,
            username=owner.username,
            password=_password(known, owner, may_set=own_database),
        )
    return write_access(home, access)


@transaction.atomic
def _found(url: str) -> Access:
    """Create the first organization; its owner runs this installation, so the admin pages are theirs too."""
    created = create_organization(name=FIRST_ORGANIZATION, owner_username=FIRST_OWNER)
    User.objects.filter(pk=created.owner.pk).update(is_staff=True, is_superuser=True)
    return Access(url, created.api_key_secret, created.organization.slug, created.owner.username, created.password)


def _organization(slug: str) -> Organization | None:
    organizations = selectors.organizations()
    return organizations.filter(slug=slug).first() or organizations.first()


def _owner(organization: Organization) -> User:
    with scopes_disabled():
        owners = Membership.objects.filter(organization=organization, role=Role.OWNER).select_related("user")
        return owners.earliest("created_at").user


def _working_key(known: Access | None, organization: Organization) -> str | None:
    secret = read_secret(known.api_key) if known else None
    key = selectors.api_key_by_public_id(secret.public_id) if secret else None
    if not secret or not key or key.revoked_at or not hmac.compare_digest(key.digest, secret.digest):
        return None
    lasts = key.expires_at is None or key.expires_at > now() + KEY_RENEWAL
    return secret.text if lasts and key.organization_id == organization.pk else None


def _new_key(organization: Organization, owner: User) -> str:
    with scope(organization=organization):
        return create_key(organization=organization, name="bin/up", role=Role.OWNER, created_by=owner).secret


def _password(known: Access | None, owner: User, *, may_set: bool) -> str | None:
    """Give the owner's password while access.json still knows it; without that file set a new one."""
    if known and known.username == owner.username:
        return known.password if known.password and owner.check_password(known.password) else None
    if not may_set:
        return None
    password = secrets.token_urlsafe(15)
    owner.set_password(password)
    owner.save(update_fields=["password"])
    return password
