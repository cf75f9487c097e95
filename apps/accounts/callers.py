"""Who is asking: a key, a token or a session, each checked against the database at every request."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn

import structlog
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from django_scopes import scopes_disabled
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as RestSessionAuthentication
from rest_framework.request import Request

from apps.accounts import keys, selectors, tokens
from apps.accounts.models import ApiKey, Membership, User
from apps.common.clock import now
from apps.common.errors import Unauthenticated

LAST_USED_PRECISION = timedelta(minutes=1)  # a busy key is written once a minute, not at every request

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """A key or a person, before it is settled for which organization they act."""

    user: User | None = None
    api_key: ApiKey | None = None
    memberships: Sequence[Membership] = ()
    token_versions: Mapping[str, int] | None = field(default=None)  # those in an access token; None for a session


def identify(request: Request | HttpRequest) -> Caller | None:
    """Give who is asking by header or session; None when nobody says. For unsafe methods see the classes below."""
    if caller := by_header(request):
        return caller
    user = getattr(request, "user", None)
    return by_session(user) if isinstance(user, User) else None


def by_header(request: Request | HttpRequest) -> Caller | None:
    """Give the caller that the `Authorization` header proves, or raise Unauthenticated."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, credential = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise Unauthenticated("Send 'Authorization: Bearer' with an API key or an access token.")
    if credential.startswith("ork_"):
        return Caller(api_key=_key(credential.strip()))
    return _by_token(credential.strip())


def by_session(user: User) -> Caller:
    """Give the caller for a person who signed in in the browser."""
    return Caller(user=user, memberships=selectors.memberships_of(user.pk))


class BearerAuthentication(BaseAuthentication):
    """An API key or an access token in the `Authorization` header."""

    def authenticate(self, request: Request) -> tuple[User | None, Caller] | None:
        """Give the caller; `request.auth` has it afterwards."""
        caller = by_header(request)
        return (caller.user, caller) if caller else None

    def authenticate_header(self, _request: Request) -> str:
        """Give what a 401 asks for."""
        return 'Bearer realm="orchestra"'


class SessionAuthentication(RestSessionAuthentication):
    """The browser's session; everything but reading needs the CSRF token as well."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        """Give the caller; `request.auth` has it afterwards."""
        found = super().authenticate(request)
        if found is None or not isinstance(found[0], User):
            return None
        return found[0], by_session(found[0])


def _key(credential: str) -> ApiKey:
    secret = keys.read_secret(credential)
    found = selectors.api_key_by_public_id(secret.public_id) if secret else None
    if secret is None or found is None or not hmac.compare_digest(found.digest, secret.digest):
        _refuse("invalid_api_key", "The API key is not valid.", secret)
    if found.revoked_at is not None:
        _refuse("api_key_revoked", "The API key has been revoked.", secret)
    if found.has_expired:
        _refuse("api_key_expired", f"The API key expired on {found.expires_at:%Y-%m-%d}.", secret)
    _note_use(found)
    return found


def _refuse(code: str, sentence: str, secret: keys.Secret | None) -> NoReturn:
    public_id = secret.public_id if secret else None
    log.warning("An API key was refused.", action="api_key_refused", reason=code, public_id=public_id)
    raise Unauthenticated(sentence, code=code)


def _note_use(key: ApiKey) -> None:
    if key.last_used_at is not None and now() - key.last_used_at < LAST_USED_PRECISION:
        return
    with scopes_disabled():
        stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USED_PRECISION)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=Now())


def _by_token(token: str) -> Caller:
    claims = tokens.read(token)
    memberships = selectors.memberships_of(claims.user_id)
    user = memberships[0].user if memberships else selectors.active_user(claims.user_id)
    if user is None or not user.is_active or tokens.password_mark(user) != claims.password_mark:
        raise Unauthenticated("The access token has been revoked; sign in again.", code="token_revoked")
    return Caller(user=user, memberships=memberships, token_versions=claims.versions)
