"""Providers of models as the API shows and takes them; a key goes in and never comes out."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from rest_framework import serializers

from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.integrations.language_models.providers import KINDS, label_of
from apps.integrations.models import ModelProvider

LONGEST_ADDRESS = 500
LONGEST_TEXT = 20_000


class ProviderView(BaseModel):
    """Somebody who serves models; `hint` is the end of the key, by which people tell it from another."""

    id: UUID
    name: str
    kind: str
    label: str
    base_url: str | None
    hint: str | None
    key_changed_at: datetime | None
    models: list[str]
    created_at: datetime
    url: str


class ProviderChangeSerializer(StrictSerializer):
    """Another key or address; what is not named stays."""

    key = serializers.CharField(
        required=False,
        write_only=True,
        allow_null=True,
        allow_blank=True,
        max_length=LONGEST_TEXT,
        help_text="Kept sealed, and never shown again; null takes it away.",
    )
    base_url = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=LONGEST_ADDRESS,
        help_text="Where the provider is, where that is not known; another address asks for the key again.",
    )


class ProviderSerializer(ProviderChangeSerializer):
    """A new provider."""

    kind = serializers.CharField(
        max_length=50, help_text=f"{', '.join(f'`{name}`' for name in KINDS)}, or another that litellm knows."
    )
    name = serializers.CharField(
        required=False,
        max_length=50,
        help_text="Its models are asked for as `<name>/<model>`; without one it has the name of its kind.",
    )


def provider_json(provider: ModelProvider) -> dict[str, JSON]:
    """Give a provider as the API shows it."""
    key = provider.key
    view = ProviderView(
        id=provider.pk,
        name=provider.name,
        kind=provider.kind,
        label=label_of(provider.kind),
        base_url=provider.base_url or None,
        hint=key.hint if key else None,
        key_changed_at=key.changed_at if key else None,
        models=sorted(setting.name for setting in provider.settings.all()),
        created_at=provider.created_at,
        url=f"/v1/model-providers/{provider.name}",
    )
    return view.model_dump(mode="json")
