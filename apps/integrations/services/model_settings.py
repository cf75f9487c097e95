"""Setting up models: under which name one is asked, what follows when it does not answer, and what it costs."""

import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import count
from typing import Any

from django.db import IntegrityError, transaction

from apps.accounts.models import Organization
from apps.common.errors import Conflict, ErrorItem, Invalid
from apps.common.registry import nearest
from apps.integrations.language_models import registry
from apps.integrations.language_models.registry import DEFAULT
from apps.integrations.language_models.resolving import is_known, names
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.services.model_providers import NAME, NAME_WORDS
from apps.integrations.services.model_uses import uses_of

OF_THE_PROTOCOL = frozenset({"model", "messages", "stream", "stream_options", "tools", "response_format"})
MOST_FALLBACKS = 10


@transaction.atomic
def add_model(organization: Organization, *, name: str, provider: str, **values: Any) -> ModelSetting:
    """Set up a model of a provider under a name of the organization's own.

    Raises Invalid with the place of what cannot be, and Conflict when the name is taken.
    """
    _lock(organization)
    _check_name(name)
    setting = ModelSetting(organization=organization, name=name, provider=_provider(provider), **values)
    return _saved(setting, is_new=True)


@transaction.atomic
def change_model(setting: ModelSetting, changes: Mapping[str, Any]) -> ModelSetting:
    """Change parts of what holds for a model; raises as `add_model` does."""
    _lock(setting.organization)
    setting = ModelSetting.objects.select_related("provider").get(pk=setting.pk)
    for name, value in changes.items():
        setattr(setting, name, _provider(value) if name == "provider" else value)
    return _saved(setting)


def free_name(model: str) -> str:
    """Give a name like the one that a model has at its provider, that nothing else has."""
    plain = re.sub(r"[^\w.:@+-]+", "-", model.rpartition("/")[2], flags=re.ASCII).strip("-.:@+")[:90] or "model"
    taken = {*names(), DEFAULT}
    return next(name for number in count(1) if (name := plain if number == 1 else f"{plain}-{number}") not in taken)


@transaction.atomic
def delete_model(setting: ModelSetting) -> None:
    """Delete what was set up for a model. Raises Conflict naming what still asks it."""
    _lock(setting.organization)
    users = uses_of(names=[setting.name], apart_from=[setting.name])
    if users:
        listed = ", ".join(f"'{user}'" for user in users)
        message = f"The model '{setting.name}' is used by {listed}; change that first."
        raise Conflict(message, code="in_use", extra={"used_by": users})
    setting.delete()


def _lock(organization: Organization) -> None:
    """One change at a time: two together could close a circle of fallbacks, or make two defaults."""
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)


def _saved(setting: ModelSetting, *, is_new: bool = False) -> ModelSetting:
    _check(setting)
    if setting.is_default:
        ModelSetting.objects.filter(is_default=True).exclude(pk=setting.pk).update(is_default=False)
    try:
        with transaction.atomic():
            setting.save(force_insert=is_new)
    except IntegrityError:
        raise Conflict(f"There is a model '{setting.name}' already.", code="name_taken") from None
    return setting


def _check(setting: ModelSetting) -> None:
    _check_options(setting.options)
    _check_fallbacks(setting)
    prices: tuple[Decimal | None, ...] = (setting.input_price, setting.output_price)
    if None in prices and (any(price is not None for price in prices) or setting.cached_price is not None):
        missing = "input_price" if setting.input_price is None else "output_price"
        raise _invalid(missing, "A price of your own says both what the input and what the output costs.")


def _check_name(name: str) -> None:
    if name == DEFAULT or registry.find(name) is not None:
        raise _invalid("name", f"'{name}' means something already; take another name.", code="reserved")
    if not NAME.fullmatch(name):
        raise _invalid("name", NAME_WORDS)


def _provider(name: str) -> ModelProvider:
    found = ModelProvider.objects.filter(name=name).first()
    if found is None:
        known = nearest(name, ModelProvider.objects.values_list("name", flat=True))
        raise _invalid("provider", f"There is no provider '{name}'.{known}", code="unknown_provider")
    return found


def _check_options(options: object) -> None:
    if not isinstance(options, dict):
        raise _invalid("options", "The options are an object.", code="not_an_object")
    if taken := sorted(OF_THE_PROTOCOL & options.keys()):
        raise _invalid("options", f"'{taken[0]}' is no option: each question says it anew.")


def _check_fallbacks(setting: ModelSetting) -> None:
    for place, name in enumerate(setting.fallbacks):
        where = f"fallbacks/{place}"
        if name in {"", DEFAULT}:
            raise _invalid(where, "Name the model itself: the default may become this one.")
        if setting.fallbacks.index(name) < place:
            raise _invalid(where, f"'{name}' is named twice.")
        if name != setting.name and not is_known(name):
            raise _invalid(where, f"There is no model '{name}'.{nearest(name, names())}", code="unknown_model")
        if circle := _way_back(setting, name):
            raise _invalid(where, f"The fallbacks go in a circle: {' → '.join(circle)}.", code="circle")


def _way_back(setting: ModelSetting, first: str) -> list[str]:
    """How one comes back to the model by this fallback of it; empty where one does not."""
    others = {one.name: one.fallbacks for one in ModelSetting.objects.exclude(pk=setting.pk)}
    ways, seen = [[setting.name, first]], set[str]()
    while ways:
        way = ways.pop()
        if way[-1] == setting.name:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, name] for name in others.get(way[-1], ())]
    return []


def _invalid(field: str, message: str, code: str = "invalid") -> Invalid:
    return Invalid(message, code="invalid_model", errors=[ErrorItem(f"/{field}", code, message)])
