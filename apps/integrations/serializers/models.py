"""Models as the API shows and takes them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from rest_framework import serializers

from apps.common.errors import NotFound
from apps.common.json import JSON
from apps.common.money import amounts
from apps.common.serializers import StrictSerializer
from apps.integrations import selectors
from apps.integrations.language_models import registry
from apps.integrations.language_models.prices import Price
from apps.integrations.language_models.registry import WITHOUT_ANY, LanguageModel
from apps.integrations.language_models.resolving import price_for, price_of
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.services.model_settings import MOST_FALLBACKS
from apps.integrations.services.model_trials import Trial
from apps.observability.selectors.usage import last_uses

MOST_SECONDS = 3600
MOST_CACHE_SECONDS = 30 * 86_400
DEAREST = Decimal(100_000)


class PriceView(BaseModel):
    """Dollars for a million tokens.

    `source` is `own` where the organization has set them, `list` where litellm's list knows the model, and `free` for
    what code brings.
    """

    input_usd: str
    cached_usd: str | None
    output_usd: str
    source: str


class ModelView(BaseModel):
    """A model that can be asked under this name.

    `source` is `setting` where the organization has set it up, `code` where the installation brings it, and
    `provider` where it is only named by its provider. `price` is null where nobody knows it.
    """

    name: str
    source: str
    provider: str | None
    model: str | None
    description: str
    is_default: bool
    is_demo: bool
    fallbacks: list[str]
    options: dict[str, Any]
    seconds: int | None
    cache_seconds: int
    price: PriceView | None
    last_used_at: datetime | None
    url: str


class ErrorView(BaseModel):
    """The problem of a trial."""

    code: str
    message: str


class TrialView(BaseModel):
    """What came of asking a model one short question."""

    status: str
    model: str
    served_by: str
    is_demo: bool
    text: str
    seconds: float
    first_token_seconds: float | None
    input_tokens: int
    output_tokens: int
    is_priced: bool
    cost_usd: str
    cost_micro_usd: int
    error: ErrorView | None


def _price(help_text: str) -> serializers.DecimalField:
    return serializers.DecimalField(
        required=False,
        allow_null=True,
        max_digits=12,
        decimal_places=6,
        min_value=Decimal(0),
        max_value=DEAREST,
        help_text=help_text,
    )


class ModelChangeSerializer(StrictSerializer):
    """What of a model is to be changed; what is not named stays."""

    provider = serializers.CharField(required=False, max_length=50, help_text="The name of a provider.")
    model = serializers.CharField(required=False, max_length=200, help_text="As its provider calls it.")
    fallbacks = serializers.ListField(
        required=False,
        child=serializers.CharField(max_length=300),
        max_length=MOST_FALLBACKS,
        help_text="The models that are asked where this one does not answer, one after the other.",
    )
    options = serializers.JSONField(
        required=False, help_text='An object: `{"temperature": 0.2}`. What a node says counts before it.'
    )
    seconds = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_SECONDS, help_text="That an answer may take."
    )
    cache_seconds = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_CACHE_SECONDS,
        help_text="That an answer is given again to the same question; 0: never.",
    )
    is_default = serializers.BooleanField(
        required=False, help_text="Whether it is asked where no model is named; it takes that from the one before."
    )
    input_price = _price('Dollars for a million tokens in, as a string: `"0.15"`; null: what is known of it.')
    cached_price = _price("The same for those that the provider knew already; null: as `input_price`.")
    output_price = _price("The same for those out.")


class ModelSerializer(ModelChangeSerializer):
    """A model under a name of the organization's own."""

    name = serializers.CharField(max_length=100, help_text="What nodes and agents name it by.")
    provider = serializers.CharField(max_length=50, help_text="The name of a provider.")
    model = serializers.CharField(max_length=200, help_text="As its provider calls it.")


def all_models() -> list[ModelView]:
    """Give every model that has a name of its own here, by name."""
    settings = list(selectors.models())
    code = list(registry.all())
    used = last_uses([*(one.name for one in settings), *(one.name for one in code)])
    has_default = any(setting.is_default for setting in settings)
    views = [setting_view(setting, used) for setting in settings]
    views += [_code_view(model, used, is_default=not has_default and model.name == WITHOUT_ANY) for model in code]
    return sorted(views, key=lambda view: view.name)


def model_view(name: str) -> ModelView:
    """Give the model of this name, or one that is named as `<provider>/<model>`; raises NotFound."""
    found = next((view for view in all_models() if view.name == name), None)
    if found is not None:
        return found
    served_by, _, model = name.partition("/")
    provider = selectors.providers().filter(name=served_by).first() if model else None
    if provider is None:
        raise NotFound(f"There is no model '{name[:80]}'.", code="model_not_found")
    return _served_view(provider, model)


def setting_view(setting: ModelSetting, used: Mapping[str, datetime]) -> ModelView:
    """Give a model that is set up."""
    source = "list" if setting.input_price is None and setting.output_price is None else "own"
    names = ("name", "model", "is_default", "fallbacks", "options", "seconds", "cache_seconds")
    return ModelView(
        **{name: getattr(setting, name) for name in names},
        source="setting",
        provider=setting.provider.name,
        description="",
        is_demo=False,
        price=_price_view(price_for(setting), source),
        last_used_at=used.get(setting.name),
        url=f"/v1/models/{setting.name}",
    )


def trial_json(trial: Trial) -> dict[str, JSON]:
    """Give what came of a trial."""
    view = TrialView(
        status="answered" if trial.is_answered else "failed",
        **{name: getattr(trial, name) for name in ("model", "served_by", "is_demo", "text", "seconds")},
        first_token_seconds=trial.first_token_seconds,
        input_tokens=trial.usage.input_tokens,
        output_tokens=trial.usage.output_tokens,
        is_priced=trial.usage.is_priced,
        **amounts(cost=trial.usage.cost_micro_usd),
        error=None if trial.is_answered else ErrorView(code=trial.code, message=trial.problem),
    )
    return view.model_dump(mode="json")


def _code_view(model: LanguageModel, used: Mapping[str, datetime], *, is_default: bool) -> ModelView:
    return _plain_view(model.name, "code").model_copy(
        update={
            "description": model.description,
            "is_default": is_default,
            "is_demo": model.is_demo,
            "price": PriceView(input_usd="0.00", cached_usd="0.00", output_usd="0.00", source="free"),
            "last_used_at": used.get(model.name),
        }
    )


def _served_view(provider: ModelProvider, model: str) -> ModelView:
    price = _price_view(price_of(provider, model), "list")
    view = _plain_view(f"{provider.name}/{model}", "provider")
    return view.model_copy(update={"provider": provider.name, "model": model, "price": price})


def _plain_view(name: str, source: str) -> ModelView:
    return ModelView(
        name=name,
        source=source,
        provider=None,
        model=None,
        description="",
        is_default=False,
        is_demo=False,
        fallbacks=[],
        options={},
        seconds=None,
        cache_seconds=0,
        price=None,
        last_used_at=None,
        url=f"/v1/models/{name}",
    )


def _price_view(price: Price | None, source: str) -> PriceView | None:
    if price is None:
        return None
    cached = None if price.cached is None else plain(price.cached)
    return PriceView(input_usd=plain(price.input), cached_usd=cached, output_usd=plain(price.output), source=source)


def plain(price: Decimal) -> str:
    """Write a price without needless zeros, with two decimals at least."""
    whole, _, decimals = f"{price:.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"
