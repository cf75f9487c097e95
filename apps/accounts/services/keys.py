"""Making and revoking API keys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models.functions import Now

from apps.accounts.access import Access
from apps.accounts.keys import new_secret
from apps.accounts.models import API_KEY_LIFETIME, ApiKey, Membership, Organization, Role, User
from apps.common.clock import now
from apps.common.errors import PermissionDenied

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key with its secret, which nobody can see again."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"CreatedKey({self.key.public_id})"


def create_key(
    *,
    organization: Organization,
    name: str,
    role: Role = Role.OPERATOR,
    scopes: Sequence[str] = (),
    lifetime: timedelta | None = API_KEY_LIFETIME,
    created_by: User | None = None,
) -> CreatedKey:
    """Make a key of an organization; without a lifetime it is valid until it is revoked."""
    secret = new_secret()
    key = ApiKey.objects.create(
        organization=organization,
        name=name,
        public_id=secret.public_id,
        digest=secret.digest,
        role=role,
        scopes=list(scopes),
        expires_at=now() + lifetime if lifetime else None,
        created_by=created_by,
    )
    log.info("An API key was made.", action="api_key_created", public_id=key.public_id, role=role)
    return CreatedKey(key, secret.text)


@transaction.atomic
def grant_key(
    access: Access, *, name: str, role: Role, scopes: Sequence[str] = (), lifetime: timedelta | None = API_KEY_LIFETIME
) -> CreatedKey:
    """Make a key on somebody's behalf: it may do nothing that they may not do themselves.

    One that is made with a key counts as made by whoever made that key, so that it ends with the others of theirs.
    """
    _lock_maker(access)
    wanted = role.capabilities.intersection(scopes) if scopes else role.capabilities
    if not access.role.includes(role) or not wanted <= access.capabilities:
        raise PermissionDenied(f"A key with the role '{role}' may do more than you may.", code="role_too_high")
    return create_key(
        organization=access.organization,
        name=name,
        role=role,
        scopes=scopes,
        lifetime=lifetime,
        created_by=_maker(access),
    )


def revoke_keys(keys: Iterable[ApiKey]) -> None:
    """End several keys at once."""
    for key in keys:
        revoke_key(key)


def revoke_key(key: ApiKey) -> None:
    """End a key at once; for a key that has ended already nothing changes."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now()):
        log.info("An API key was revoked.", action="api_key_revoked", public_id=key.public_id)


def _maker(access: Access) -> User | None:
    return access.api_key.created_by if access.api_key else access.user


def _lock_maker(access: Access) -> None:
    """Hold off the end of the maker's access until the key is there: it then ends with it, or is not made."""
    is_still_so = (
        ApiKey.objects.select_for_update().filter(pk=access.api_key.pk, revoked_at=None).first()
        if access.api_key
        else Membership.objects.select_for_update().filter(user=access.user, role=access.role).first()
    )
    if is_still_so is None:
        raise PermissionDenied("Your access has just changed; look again at what you may do.", code="access_changed")
