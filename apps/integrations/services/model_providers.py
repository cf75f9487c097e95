"""Setting up who serves models: the kind, where it is, and its key, which is never shown again."""

import re
from collections.abc import Iterable
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction

from apps.accounts.models import Organization
from apps.common.errors import Conflict, ErrorItem, Invalid
from apps.common.registry import nearest
from apps.integrations.language_models import providers
from apps.integrations.language_models.providers import KINDS, OWN
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.services import secrets
from apps.integrations.services.model_uses import uses_of

NAME = re.compile(r"\w[\w.:@+-]*", re.ASCII)  # without a slash, which parts a provider's name from its model's
NAME_WORDS = "A name has letters, digits and any of . : @ + - _, and begins with none of these signs."
LONGEST_KEY = 10_000


@transaction.atomic
def add_provider(
    organization: Organization, *, kind: str, name: str = "", key: str = "", base_url: str = ""
) -> ModelProvider:
    """Add a provider; without a name it has that of its kind, and a number where that is taken.

    Raises Invalid with the place of what cannot be, and Conflict when the name is taken.
    """
    provider = drafted_provider(organization, kind=kind, name=name, key=key, base_url=base_url)
    if key:
        provider.key = secrets.keep(organization.pk, checked_key(key))
    try:
        with transaction.atomic():
            provider.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"There is a provider '{provider.name}' already.", code="name_taken") from None
    return provider


def drafted_provider(
    organization: Organization, *, kind: str, name: str = "", key: str = "", base_url: str = ""
) -> ModelProvider:
    """Give a provider as `add_provider` would add it, without keeping anything; raises Invalid as that does."""
    provider = ModelProvider(organization=organization, kind=kind, base_url=base_url)
    provider.name = _checked_name(name) if name else _free_name(kind)
    _check(provider, has_key=bool(key))
    if key:
        checked_key(key)
    return provider


@transaction.atomic
def change_provider(provider: ModelProvider, changes: dict[str, Any]) -> ModelProvider:
    """Change where a provider is or its key; an empty or null `key` takes it away. Raises as `add_provider` does.

    A key goes only to the address it was entered for: with another address it has to be entered again.
    """
    provider = ModelProvider.objects.select_for_update(of=("self",)).select_related("key").get(pk=provider.pk)
    moved = changes.get("base_url", provider.base_url) != provider.base_url
    provider.base_url = changes.get("base_url", provider.base_url)
    if moved and provider.key and "key" not in changes:
        raise _invalid("key", "Enter the key again: it was entered for another address.", code="key_needed_again")
    kept = provider.key
    _check(provider, has_key=bool(changes.get("key", kept)))
    if "key" in changes:
        _put_key(provider, changes["key"] or "")
    provider.save()
    if kept and provider.key is None:
        kept.delete()
    return provider


@transaction.atomic
def delete_provider(provider: ModelProvider, *, with_models: bool = False) -> None:
    """Delete a provider with its key, and the models that are set up of it where that is wanted.

    Raises Conflict naming them where it is not, and naming whatever else still asks one of its models.
    """
    models = list(ModelSetting.objects.filter(provider=provider).values_list("name", flat=True))
    if models and not with_models:
        raise _in_use(
            f"The provider '{provider.name}' serves {_listed(models)}; delete them first, or with it.", models
        )
    users = uses_of(names=models, provider=provider.name, apart_from=models)
    if users:
        raise _in_use(f"The models of '{provider.name}' are used by {_listed(users)}; change that first.", users)
    key = provider.key
    provider.delete()
    if key:
        key.delete()


def _put_key(provider: ModelProvider, text: str) -> None:
    if not text:
        provider.key = None
    elif provider.key:
        secrets.replace(provider.key, checked_key(text))
    else:
        provider.key = secrets.keep(provider.organization_id, checked_key(text))


def _check(provider: ModelProvider, *, has_key: bool) -> None:
    kind = KINDS.get(provider.kind)
    if kind is None and provider.kind not in providers.others():
        known = nearest(provider.kind, [*KINDS, *providers.others()])
        raise _invalid("kind", f"There is no kind of provider '{provider.kind}'.{known}", code="unknown_kind")
    if kind is not None and kind.needs_key and not has_key:
        raise _invalid("key", f"{kind.label} needs a key.", code="required")
    if provider.base_url:
        _check_address(provider.base_url)
    elif provider.kind == OWN:
        raise _invalid("base_url", "Say where the server is, such as http://127.0.0.1:11434/v1.", code="required")


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise _invalid("base_url", "Give an address that begins with https:// or http://.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise _invalid("base_url", "Give the address alone: a name, a password or a key does not belong in it.")


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise _invalid(
            "name", "A name has letters, digits and any of . : @ + - _, and begins with none of these signs."
        )
    return name


def _free_name(kind: str) -> str:
    first = "own" if kind == OWN else re.sub(r"[^\w.-]", "-", kind, flags=re.ASCII)[:40]
    taken = set(ModelProvider.objects.values_list("name", flat=True))
    return next(name for number in count(1) if (name := first if number == 1 else f"{first}-{number}") not in taken)


def checked_key(key: str) -> str:
    """Give a key without the space around it; raises Invalid for what cannot be one."""
    text = key.strip()
    if not text or len(text) > LONGEST_KEY or not text.isprintable() or not text.isascii():
        raise _invalid("key", f"A key is up to {LONGEST_KEY:,} characters on one line, as the provider shows it.")
    return text


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


def _in_use(message: str, names: Iterable[str]) -> Conflict:
    return Conflict(message, code="in_use", extra={"used_by": sorted(names)})


def _invalid(field: str, message: str, code: str = "invalid") -> Invalid:
    return Invalid(message, code="invalid_provider", errors=[ErrorItem(f"/{field}", code, message)])
