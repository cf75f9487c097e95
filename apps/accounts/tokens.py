"""Access tokens: JWTs that say who signed in, and nothing about what they may do."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac

from apps.accounts.models import User
from apps.common.clock import now
from apps.common.errors import Unauthenticated

ALGORITHM = "HS256"
ISSUER = "orchestra"
AUDIENCE = "orchestra-api"
KIND = "access"
LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says."""

    user_id: UUID
    password_mark: str
    versions: Mapping[str, int]  # organization id (hex) -> token_version of the membership when it was issued


def issue(user: User, versions: Mapping[UUID, int]) -> str:
    """Give an access token for a user with these memberships."""
    issued = now()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "typ": KIND,
        "sub": user.pk.hex,
        "jti": uuid4().hex,
        "iat": issued,
        "exp": issued + LIFETIME,
        "pwd": password_mark(user),
        "org": {organization.hex: version for organization, version in versions.items()},
    }
    return jwt.encode(claims, _key(settings.SECRET_KEY), ALGORITHM)


def read(token: str) -> Claims:
    """Give what the token says, or raise Unauthenticated."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(settings.SECRET_KEY),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp", "iat", "sub", "jti", "typ"]},
        )
        if claims["typ"] != KIND:
            raise jwt.InvalidTokenError("another kind of token")
        return Claims(UUID(claims["sub"]), str(claims["pwd"]), claims["org"])
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("The access token has expired; refresh it.", code="token_expired") from None
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
        raise Unauthenticated("The access token is not valid.", code="invalid_token") from None


def password_mark(user: User) -> str:
    """Give what changes with the password, so that changing it ends every token."""
    return salted_hmac("orchestra.tokens.password", user.password).hexdigest()[:16]


@cache
def _key(secret_key: str) -> bytes:
    # A key of its own: a token can never stand in for another thing that Django signs.
    return hashlib.sha256(b"orchestra.tokens.access:" + secret_key.encode()).digest()
