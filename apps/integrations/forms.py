"""The forms with which people set up providers and models. No form ever holds a key that is kept."""

from collections.abc import Sequence
from typing import Any

from django import forms

from apps.common import json
from apps.common.errors import BadRequest
from apps.integrations.language_models.providers import KINDS, OWN, others
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.serializers.models import DEAREST, MOST_CACHE_SECONDS, MOST_SECONDS, plain

QUIET = {"autocomplete": "off", "spellcheck": "false"}
KEY = forms.PasswordInput(attrs=QUIET, render_value=False)


def kinds() -> list[Any]:
    """Give the kinds of providers to choose from: those that are well known first."""
    return [
        *((kind.name, kind.label) for kind in KINDS.values()),
        ("Others (through litellm)", list(others().items())),
    ]


class ProviderForm(forms.Form):
    """A provider in three fields."""

    kind = forms.ChoiceField(label="Provider", choices=kinds)
    key = forms.CharField(
        label="Key",
        required=False,
        max_length=10_000,
        widget=KEY,
        help_text="As the provider shows it. It is kept sealed, and no page shows it again.",
    )
    base_url = forms.CharField(
        label="Address", required=False, max_length=500, widget=forms.TextInput(attrs=QUIET), help_text=KINDS[OWN].hint
    )

    def clean(self) -> dict[str, Any]:
        """Leave out an address that the chosen kind does not take: its field is not seen then."""
        sent: dict[str, Any] = super().clean() or {}
        kind = sent.get("kind")
        return sent | ({"base_url": ""} if kind in KINDS and kind != OWN else {})


class FirstModelForm(ProviderForm):
    """A provider with the model that becomes the default."""

    model = forms.CharField(
        label="Model",
        max_length=200,
        widget=forms.TextInput(attrs={**QUIET, "list": "known-models"}),
        help_text="Every agent that names no model asks this one. You can change it at any time.",
    )


class ProviderChangeForm(forms.Form):
    """Another key, or another address with its key."""

    key = forms.CharField(
        label="New key",
        required=False,
        max_length=10_000,
        widget=KEY,
        help_text="It takes the place of the one that is kept. Left empty, that stays.",
    )
    base_url = forms.CharField(
        label="Address",
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs=QUIET),
        help_text="Empty: the provider's own. Another address needs the key again.",
    )


class ModelForm(forms.Form):
    """What holds for a model."""

    name = forms.CharField(
        max_length=100,
        widget=forms.TextInput(attrs=QUIET),
        help_text="What nodes and agents ask it by, such as <code>smart</code>. It stays.",
    )
    provider = forms.ChoiceField()
    model = forms.CharField(
        label="Model",
        max_length=200,
        widget=forms.TextInput(attrs={**QUIET, "list": "known-models"}),
        help_text="As its provider calls it.",
    )
    is_default = forms.BooleanField(label="The default: asked where no model is named", required=False)
    fallbacks = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={**QUIET, "rows": 3, "class": "mono"}),
        help_text="Asked one after the other where this one does not answer: a model's name on each line, or "
        "<code>provider/model</code>.",
    )
    seconds = forms.IntegerField(
        label="Seconds",
        min_value=1,
        max_value=MOST_SECONDS,
        initial=120,
        help_text="That an answer may take; then it counts as lost, and the next one is asked.",
    )
    cache_seconds = forms.IntegerField(
        label="Keep answers for",
        min_value=0,
        max_value=MOST_CACHE_SECONDS,
        initial=0,
        help_text="Seconds in which the same question gets the same answer again, for nothing. 0: never.",
    )
    options = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={**QUIET, "rows": 3, "class": "mono"}),
        help_text='JSON, such as <code>{"temperature": 0.2}</code>. What a node says counts before it.',
    )
    input_price = forms.DecimalField(
        label="Price in", required=False, min_value=0, max_value=DEAREST, max_digits=12, decimal_places=6
    )
    cached_price = forms.DecimalField(
        label="Price in, from the provider's cache",
        required=False,
        min_value=0,
        max_value=DEAREST,
        max_digits=12,
        decimal_places=6,
    )
    output_price = forms.DecimalField(
        label="Price out",
        required=False,
        min_value=0,
        max_value=DEAREST,
        max_digits=12,
        decimal_places=6,
        help_text="Dollars for a million tokens. All three empty: what is known of the model.",
    )

    def __init__(self, providers: Sequence[ModelProvider], *args: Any, is_new: bool = True, **kwargs: Any) -> None:
        """Offer these providers; the name of a model that is there already is no field."""
        super().__init__(*args, **kwargs)
        self.fields["provider"].choices = [(one.name, one.name) for one in providers]  # type: ignore[attr-defined]
        if not is_new:
            del self.fields["name"]

    def clean_fallbacks(self) -> list[str]:
        """Give the names."""
        return [line for part in self.cleaned_data["fallbacks"].splitlines() if (line := part.strip())]

    def clean_options(self) -> Any:
        """Give the JSON; that it is an object is checked where models are set up."""
        text = self.cleaned_data["options"]
        try:
            return json.loads(text) if text.strip() else {}
        except BadRequest as error:
            raise forms.ValidationError(f"This is not JSON. {error.detail}") from None


def initial_of(setting: ModelSetting) -> dict[str, Any]:
    """Give what the form of a model begins with."""
    prices = {name: getattr(setting, name) for name in ("input_price", "cached_price", "output_price")}
    return {
        "provider": setting.provider.name,
        "fallbacks": "\n".join(setting.fallbacks),
        "options": json.dumps(setting.options).decode() if setting.options else "",
        **{name: getattr(setting, name) for name in ("model", "is_default", "seconds", "cache_seconds")},
        **{name: None if price is None else plain(price) for name, price in prices.items()},
    }
