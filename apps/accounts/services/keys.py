"""Making and revoking API keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db.models.functions import Now

from apps.accounts.access import Access
from apps.accounts.keys import new_secret
from apps.accounts.models import API_KEY_LIFETIME, ApiKey, Organization, Role, User
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


def grant_key(
    access: Access, *, name: str, role: Role, scopes: Sequence[str] = (), lifetime: timedelta | None = API_KEY_LIFETIME
) -> CreatedKey:
    """Make a key on somebody's behalf: it may do nothing that they may not do themselves."""
    wanted = role.capabilities.intersection(scopes) if scopes else role.capabilities
    if not access.role.includes(role) or not wanted <= access.capabilities:
        raise PermissionDenied(f"A key with the role '{role}' may do more than you may.", code="role_too_high")
    return create_key(
        organization=access.organization,
        name=name,
        role=role,
        scopes=scopes,
        lifetime=lifetime,
        created_by=access.user,
    )


def revoke_key(key: ApiKey) -> None:
    """End a key at once; for a key that has ended already nothing changes."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now()):
        log.info("An API key was revoked.", action="api_key_revoked", public_id=key.public_id)
