"""Setting up a provider and its model in one act. The model is asked first, so that only what answers is kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from apps.accounts.models import Organization
from apps.common.errors import ErrorItem, Invalid
from apps.integrations import selectors
from apps.integrations.language_models.provider_errors import CHECK_THE_KEY
from apps.integrations.language_models.providers import kind_of, needs_address
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.services import secrets
from apps.integrations.services.model_providers import add_provider, change_provider, checked_key, drafted_provider
from apps.integrations.services.model_settings import add_model, change_model, free_name
from apps.integrations.services.model_trials import Trial, try_key, try_model
from apps.integrations.vault.sealing import CannotOpen

# What says nothing against the key: it is kept then, so that nobody has to look for it again.
KEY_MAY_BE_GOOD = frozenset(
    {"unknown_model", "quota_used_up", "rate_limited", "model_unavailable", "timeout", "request_refused"}
)
AT_FIELD: Mapping[str, str] = {"key_refused": "key", "unknown_model": "model"}  # the rest is about the address


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of it. Without a model only the provider is kept, with its key, and the trial says why."""

    provider: ModelProvider
    trial: Trial
    model: ModelSetting | None


def begin_with(
    organization: Organization, *, kind: str, model: str, caller: str, name: str = "", key: str = "", base_url: str = ""
) -> Begun:
    """Ask a model with a key, and keep the provider, its key and the model, as the default, where it answers.

    The same once more changes nothing: a second click finds what the first has made. Raises Invalid with the place of
    what cannot be or was refused, when nothing is kept, and Conflict when the name is taken.
    """
    sent = {"kind": kind, "name": name, "key": key.strip(), "base_url": base_url}
    provider = drafted_provider(organization, **sent)
    if not model:
        raise _invalid("model", "Choose a model, or type its name.")
    trial = try_key(provider, model, checked_key(key) if key else "", caller)
    if not trial.is_answered and not (key and trial.code in KEY_MAY_BE_GOOD):
        raise _refused(provider, trial)
    with transaction.atomic():
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        kept = _same_provider(provider, sent["key"], name) or add_provider(organization, **sent)
        return Begun(kept, trial, _default(kept, model) if trial.is_answered else None)


def begin_again(provider: ModelProvider, *, model: str, key: str, caller: str) -> Begun:
    """Do what `begin_with` does with a provider that is there; with a key, that is kept instead of its own."""
    if not key or not model:
        return choose_default(provider, model, caller=caller)
    trial = try_key(provider, model, checked_key(key), caller)
    if not trial.is_answered and trial.code not in KEY_MAY_BE_GOOD:
        raise _refused(provider, trial)
    with transaction.atomic():
        kept = change_provider(provider, {"key": key})
        return Begun(kept, trial, _default(kept, model) if trial.is_answered else None)


def choose_default(provider: ModelProvider, model: str, *, caller: str, untested: bool = False) -> Begun:
    """Make a provider's model the default where it answers, or without asking it where that is wanted."""
    if not model:
        raise _invalid("model", "Choose a model, or type its name.")
    asked = f"{provider.name}/{model}"
    trial = Trial(asked) if untested else try_model(provider.organization_id, asked, caller)
    return Begun(provider, trial, _default(provider, model) if trial.is_answered else None)


def _same_provider(drafted: ModelProvider, key: str, name: str) -> ModelProvider | None:
    """The provider that has the very same address and key, and the name where one was wanted."""
    alike = ModelProvider.objects.filter(kind=drafted.kind, base_url=drafted.base_url).select_related("key")
    return next((one for one in alike if name in {"", one.name} and _key_of(one) == key), None)


def _key_of(provider: ModelProvider) -> str | None:
    try:
        return secrets.opened(provider.key) if provider.key else ""
    except CannotOpen:
        return None


@transaction.atomic
def make_default(name: str) -> ModelSetting:
    """Make the default what is asked under a name, a model's own or `provider/model`; raises NotFound."""
    provider, _, model = name.partition("/")
    if model:
        return _default(selectors.find_provider(provider), model)
    return change_model(selectors.find_model(name), {"is_default": True})


@transaction.atomic
def _default(provider: ModelProvider, model: str) -> ModelSetting:
    known = ModelSetting.objects.filter(provider=provider, model=model).order_by("created_at", "id").first()
    if known is not None:
        return change_model(known, {"is_default": True})
    organization = provider.organization
    return add_model(organization, name=free_name(model), provider=provider.name, model=model, is_default=True)


def _refused(provider: ModelProvider, trial: Trial) -> Invalid:
    field = AT_FIELD.get(trial.code, "base_url" if needs_address(provider.kind) else "")
    if field != "key":
        return _invalid(field, trial.problem, trial.code)
    kind = kind_of(provider.kind)
    source = f", from {kind.keys_at}" if kind.keys_at else ""
    who = "The server" if needs_address(kind.name) else kind.label
    fix = f"Copy the whole key once more{source}; this one is not kept."
    said = trial.problem.removesuffix(CHECK_THE_KEY)
    return _invalid("key", f"{who} does not take this key. {fix} {said}", trial.code)


def _invalid(field: str, message: str, code: str = "required") -> Invalid:
    return Invalid(message, code="invalid_provider", errors=[ErrorItem(f"/{field}", code, message)])
