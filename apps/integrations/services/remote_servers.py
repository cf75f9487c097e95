"""What servers of other people have in common: a name, an https address, and a key in the vault."""

import re
from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from apps.common.errors import ErrorItem, Fatal, Invalid
from apps.integrations.models import Secret
from apps.integrations.services import secrets

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
KEY = re.compile(r"[!-~]{0,4000}")


class HasKey(Protocol):
    """A row with a key."""

    organization_id: UUID
    secret: Secret | None


def check_name(name: str) -> None:
    """Raise Invalid for a name that cannot be a part of others."""
    if not NAME.fullmatch(name):
        raise invalid("/name", "invalid_name", "A name has 1 to 40 small letters, digits, '-' and '_'.")


def check_key(key: str) -> None:
    """Raise Invalid for a key that cannot stand in a header."""
    if not KEY.fullmatch(key):
        raise invalid("/key", "invalid_key", "A key is visible ASCII characters, at most 4,000.")


def check_address(url: str, field: str) -> None:
    """Raise Invalid for an address that the egress rules would never let through."""
    import httpx  # noqa: PLC0415 - slow to import

    from apps.integrations.egress.rules import check_url  # noqa: PLC0415

    try:
        check_url(httpx.URL(url))
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise invalid(f"/{field}", "invalid_url", f"This address cannot be read: {error}.") from None
    except Fatal as refused:
        raise invalid(f"/{field}", refused.code, refused.message) from None


def headers_of(row: HasKey) -> dict[str, str]:
    """Give the headers that go with every request; raises CannotOpen for a key that does not open."""
    return {} if row.secret is None else {"Authorization": f"Bearer {secrets.opened(row.secret)}"}


def key_in(headers: Mapping[str, str]) -> str:
    """Give the key in such headers; empty where there is none."""
    return headers.get("Authorization", "").removeprefix("Bearer ")


def kept(organization_id: UUID, key: str) -> Secret | None:
    """Keep a key; an empty one is none."""
    return secrets.keep(organization_id, key) if key else None


def storable(text: str) -> str:
    """Give a text of somebody else as PostgreSQL takes it."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def invalid(pointer: str, code: str, message: str) -> Invalid:
    """Give the error for one field."""
    return Invalid(message, code=code, errors=[ErrorItem(pointer, code, message)])
