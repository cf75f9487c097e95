"""Keeping secrets: an organization's key wraps a key for each secret, and a master key wraps the organization's."""

from collections.abc import Mapping
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django_scopes import scopes_disabled

from apps.integrations.models import OrganizationKey, Secret
from apps.integrations.vault.sealing import CannotOpen, fingerprint, master_key, new_key, seal, unseal

HINT_CHARACTERS = 4
SHORTEST_HINTED = 12  # of a shorter secret the last characters say too much


def keep(organization_id: UUID, text: str) -> Secret:
    """Keep a secret, and give its row."""
    secret = Secret(organization_id=organization_id)
    _fill(secret, text)
    secret.save(force_insert=True)
    return secret


def replace(secret: Secret, text: str) -> None:
    """Put another value in the place of one that is kept."""
    _fill(secret, text)
    secret.save()


def opened(secret: Secret) -> str:
    """Give the value, for the moment it is used in; raises CannotOpen."""
    key = unseal(_organization_key(secret.organization_id), bytes(secret.wrapped), f"{_place(secret)}|key")
    return unseal(key, bytes(secret.sealed), _place(secret)).decode()


def rotate() -> int:
    """Wrap every organization's key with the newest master key; give how many were not yet."""
    newest = fingerprint(_masters_in_order()[0])
    with transaction.atomic(), scopes_disabled():
        older = OrganizationKey.objects.select_for_update().exclude(master=newest)
        for row in older:
            _wrap(row, _unwrap(row))
            row.save()
        return len(older)


def masters() -> list[tuple[str, int | None, int]]:
    """Give each master key by its fingerprint, its place among the configured ones, and how many keys it wraps.

    The newest has the place 0; one that is not configured any more has None, and what it wraps cannot be opened.
    """
    with scopes_disabled():
        counted = OrganizationKey.objects.order_by().values_list("master").annotate(count=Count("pk"))
        wrapped: dict[str, int] = dict(counted)
    configured = list(dict.fromkeys(map(fingerprint, _masters_in_order())))
    known: list[tuple[str, int | None, int]] = [
        (name, place, wrapped.get(name, 0)) for place, name in enumerate(configured)
    ]
    return [*known, *((name, None, count) for name, count in sorted(wrapped.items()) if name not in configured)]


def _fill(secret: Secret, text: str) -> None:
    key = new_key()
    secret.wrapped = seal(_organization_key(secret.organization_id), key, f"{_place(secret)}|key")
    secret.sealed = seal(key, text.encode(), _place(secret))
    secret.hint = f"****{text[-HINT_CHARACTERS:]}" if len(text) >= SHORTEST_HINTED else "****"


def _place(secret: Secret) -> str:
    return f"{secret.organization_id}|{secret.pk}"


def _organization_key(organization_id: UUID) -> bytes:
    with scopes_disabled():
        row = OrganizationKey.objects.filter(organization_id=organization_id).first()
        return _unwrap(row) if row else _made_key(organization_id)


def _made_key(organization_id: UUID) -> bytes:
    fresh = OrganizationKey(organization_id=organization_id)
    _wrap(fresh, new_key())
    OrganizationKey.objects.bulk_create([fresh], ignore_conflicts=True)  # somebody else's may have come first
    return _unwrap(OrganizationKey.objects.get(organization_id=organization_id))


def _wrap(row: OrganizationKey, key: bytes) -> None:
    master = _masters_in_order()[0]
    row.wrapped, row.master = seal(master, key, str(row.organization_id)), fingerprint(master)


def _unwrap(row: OrganizationKey) -> bytes:
    master = _masters().get(row.master)
    if master is None:
        raise CannotOpen("its master key is not among ORCHESTRA_MASTER_KEYS.")
    return unseal(master, bytes(row.wrapped), str(row.organization_id))


def _masters() -> Mapping[str, bytes]:
    return {fingerprint(key): key for key in _masters_in_order()}


def _masters_in_order() -> list[bytes]:
    return [master_key(secret) for secret in settings.ORCHESTRA_MASTER_KEYS]
