"""From the name that a node or an agent says to the model that answers, with what the organization has set for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django_scopes import scope

from apps.common.errors import NotFound
from apps.common.json import JSON
from apps.common.registry import nearest
from apps.integrations.language_models import registry
from apps.integrations.language_models.prices import FREE, Price, known_price
from apps.integrations.language_models.providers import KINDS, OWN, telemetry_name_of
from apps.integrations.language_models.registry import DEFAULT, WITHOUT_ANY, LanguageModel
from apps.integrations.language_models.rows import rows_for
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.services import secrets

USUAL_SECONDS = 120


@dataclass(frozen=True)
class Found:
    """A model, ready to be asked, and what holds for it. `price` is None where nobody knows it."""

    name: str  # as it was asked for
    model: LanguageModel
    price: Price | None
    seconds: float = USUAL_SECONDS
    cache_seconds: int = 0
    fallbacks: tuple[str, ...] = ()
    options: Mapping[str, JSON] = field(default_factory=dict)


def resolve(organization_id: UUID, name: str) -> Found:
    """Give the model of that name, or the one that `default` or no name stands for.

    Raises NotFound naming the nearest one, or Fatal where its key cannot be opened.
    """
    with scope(organization=organization_id):
        found = _default(organization_id) if name in {"", DEFAULT} else _found(organization_id, name)
        if found is None:
            raise NotFound(f"There is no model '{name}'.{_remedy(name)}", code="unknown_model")
        return found


def is_known(name: str) -> bool:
    """Tell whether the organization in scope can ask a model of that name; opens no key."""
    if name in {"", DEFAULT} or registry.find(name) is not None:
        return True
    provider, _, model = name.partition("/")
    is_served = bool(model) and ModelProvider.objects.filter(name=provider).exists()
    return is_served or ModelSetting.objects.filter(name=name).exists()


def names() -> list[str]:
    """Give the names of the models that the organization in scope has set up, and those that code brings."""
    own = list(ModelSetting.objects.values_list("name", flat=True))
    return [*own, *(model.name for model in registry.all())]


def telemetry_names() -> dict[str, str]:
    """Give what OpenTelemetry calls each provider of the organization in scope, by its name here."""
    kinds = ModelProvider.objects.values_list("name", "kind")
    return {name: telemetry_name_of(name, kind) for name, kind in kinds}


def default_name() -> str:
    """Give the name of the model that the organization in scope asks where none is named."""
    chosen = ModelSetting.objects.filter(is_default=True).values_list("name", flat=True).first()
    return chosen or WITHOUT_ANY


def _default(organization_id: UUID) -> Found | None:
    chosen, _ = rows_for(organization_id, "")
    return _set_up(chosen) if chosen else _found(organization_id, WITHOUT_ANY)


def _found(organization_id: UUID, name: str) -> Found | None:
    served_by, _, model = name.partition("/")
    setting, provider = rows_for(organization_id, name, served_by if model else "")
    if setting is not None:
        return _set_up(setting)
    if (own := registry.find(name)) is not None:
        return Found(name, own, FREE)
    return None if provider is None else Found(name, chat(provider, model), price_of(provider, model))


def _set_up(setting: ModelSetting) -> Found:
    return Found(
        name=setting.name,
        model=chat(setting.provider, setting.model),
        price=price_for(setting),
        seconds=setting.seconds,
        cache_seconds=setting.cache_seconds,
        fallbacks=tuple(setting.fallbacks),
        options=setting.options,
    )


def chat(provider: ModelProvider, model: str) -> LanguageModel:
    """Give what asks a provider's model; raises Fatal where its key cannot be opened."""
    return speaking(provider, model, secrets.opened(provider.key) if provider.key else "")


def speaking(provider: ModelProvider, model: str, key: str) -> LanguageModel:
    """Give what asks a provider's model with such a key, which need not be kept."""
    name, kind = f"{provider.name}/{model}", KINDS.get(provider.kind)
    if kind is not None and kind.speaks_openai:
        from apps.integrations.language_models.openai_chat import OpenAIChat  # noqa: PLC0415 - httpx is slow to import

        return OpenAIChat(name, model, provider.base_url or kind.base_url, key, limit=kind.limit)
    from apps.integrations.llm import LiteLLMChat  # noqa: PLC0415

    return LiteLLMChat(name, provider.kind, model, provider.base_url, key)


def price_of(provider: ModelProvider, model: str) -> Price | None:
    """Give what is known of a model's price; what runs on a server of one's own is not known to cost anything."""
    return None if provider.kind == OWN else known_price(provider.kind, model)


def price_for(setting: ModelSetting) -> Price | None:
    """Give what holds for a model that is set up: its own price, or else what is known of it."""
    return _own_price(setting) or price_of(setting.provider, setting.model)


def _own_price(setting: ModelSetting) -> Price | None:
    if setting.input_price is None and setting.output_price is None:
        return None
    known = price_of(setting.provider, setting.model)
    return Price(
        setting.input_price or FREE.input,
        setting.output_price or FREE.output,
        setting.cached_price,
        known.most_output_tokens if known else None,
    )


def _remedy(name: str) -> str:
    provider, _, model = name.partition("/")
    if model and provider in KINDS:
        return f" Set up {KINDS[provider].label} under Settings, Models, and give the provider the name '{provider}'."
    return nearest(name, names())
