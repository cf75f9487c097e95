"""Signing in for programs: a short access token, and a refresh token that is good for one use."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models.functions import Now

from apps.accounts import selectors, tokens
from apps.accounts.access import account_bucket, refuse_excess
from apps.accounts.models import RefreshToken, User
from apps.common import limits
from apps.common.clock import now
from apps.common.errors import Unauthenticated
from apps.common.ids import uuid7

REFRESH_LIFETIME = timedelta(days=14)
REFRESH_PREFIX = "orr_"
REFRESH_BYTES = 32

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client keeps after signing in."""

    access: str
    refresh: str

    def __repr__(self) -> str:
        return "TokenPair()"


def sign_in(*, username: str, password: str, address: str) -> TokenPair:
    """Give tokens for a name and a password; after five wrong ones the account rests for a while."""
    account = account_bucket(username)
    refuse_excess(limits.hit([account]))
    user = authenticate(username=username, password=password)
    if not isinstance(user, User):
        log.warning("A sign-in failed.", action="sign_in_failed", address=address)
        raise Unauthenticated("The name or the password is wrong.", code="invalid_credentials")
    limits.forgive(account[0])
    log.info("Somebody signed in.", action="sign_in", user_id=str(user.pk), address=address)
    return _pair(user, family=uuid7())


def refresh(token: str) -> TokenPair:
    """Give new tokens for a refresh token, which is used up by it.

    One that was used before has been copied: whoever comes second, thief or owner, the whole sign-in ends.
    """
    with transaction.atomic():
        # The row lock makes two uses at one moment a first and a second.
        found = RefreshToken.objects.select_for_update().filter(digest=_digest(token)).first()
        copied = found is not None and found.used_at is not None
        if found and copied:
            _revoke([found.family])
        elif found and _is_good(found):
            RefreshToken.objects.filter(pk=found.pk).update(used_at=Now())
            user = selectors.active_user(found.user_id)
            if user and tokens.password_mark(user) == found.password_mark:
                return _pair(user, family=found.family)
    # Raised outside of the transaction: the revocation stays.
    if found and copied:
        log.warning("A refresh token was used twice.", action="refresh_token_reused", user_id=str(found.user_id))
    raise Unauthenticated("The refresh token is not valid (any more); sign in again.", code="invalid_refresh_token")


def sign_out(token: str) -> None:
    """End the sign-in that a refresh token belongs to; an unknown one is none that could be ended."""
    _revoke(RefreshToken.objects.filter(digest=_digest(token)).values_list("family", flat=True))


def _pair(user: User, family: UUID) -> TokenPair:
    memberships = selectors.memberships_of(user.pk)
    access = tokens.issue(user, {one.organization_id: one.token_version for one in memberships})
    token = REFRESH_PREFIX + secrets.token_urlsafe(REFRESH_BYTES)
    RefreshToken.objects.create(
        user=user,
        family=family,
        digest=_digest(token),
        password_mark=tokens.password_mark(user),
        expires_at=now() + REFRESH_LIFETIME,
    )
    return TokenPair(access, token)


def _is_good(token: RefreshToken) -> bool:
    return token.revoked_at is None and token.expires_at > now()


def _revoke(families: Iterable[UUID]) -> None:
    RefreshToken.objects.filter(family__in=families, revoked_at=None).update(revoked_at=Now())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
