"""Who serves language models."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.common.etags import digest, etag, is_unchanged, require_match
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, boolean
from apps.common.serializers import checked
from apps.integrations import selectors
from apps.integrations.models import ModelProvider
from apps.integrations.serializers.model_providers import (
    ProviderChangeSerializer,
    ProviderSerializer,
    ProviderView,
    provider_json,
)
from apps.integrations.services import model_providers as services

SORTS = {"name": ("name", "id"), "created_at": ("created_at", "id")}
CAPABILITIES = {"GET": "view", "POST": "manage", "PATCH": "manage", "DELETE": "manage"}


class ProvidersView(OrganizationView):
    """All providers."""

    capabilities = CAPABILITIES
    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(ProviderView)}, operation_id="list_model_providers")
    def get(self, request: Request) -> Response:
        """List who serves models, by name; never a key."""
        return paginate(selectors.providers(), request, sorts=SORTS, default="name", serialize=provider_json)

    @extend_schema(request=ProviderSerializer, responses={201: ProviderView}, operation_id="add_model_provider")
    def post(self, request: Request) -> Response:
        """Add a provider; any of its models can be asked for as `<provider>/<model>` from now on."""
        wanted = _texts(checked(ProviderSerializer, request))
        return run_once(request, lambda: self._add(wanted))

    def _add(self, wanted: dict[str, Any]) -> Answer:
        return 201, provider_json(services.add_provider(self.access.organization, **wanted))


class OneProviderView(OrganizationView):
    """One provider, by name or id."""

    capabilities = CAPABILITIES
    query = {"DELETE": {"with_models": boolean("Also delete the models that are set up of it.", default=False)}}

    @extend_schema(responses={200: ProviderView}, operation_id="get_model_provider")
    def get(self, request: Request, ref: str) -> Response:
        """Show a provider without its key; its ETag guards a change."""
        provider = selectors.find_provider(ref)
        tag = provider_etag(provider)
        if is_unchanged(request, tag):
            return Response(status=304, headers={"ETag": tag})
        return Response(provider_json(provider), headers={"ETag": tag})

    @extend_schema(
        request=ProviderChangeSerializer, responses={200: ProviderView}, operation_id="change_model_provider"
    )
    def patch(self, request: Request, ref: str) -> Response:
        """Give a provider another key or address."""
        provider = selectors.find_provider(ref)
        require_match(request, provider_etag(provider))
        services.change_provider(provider, _texts(checked(ProviderChangeSerializer, request)))
        changed = selectors.find_provider(provider.name)
        return Response(provider_json(changed), headers={"ETag": provider_etag(changed)})

    @extend_schema(responses={204: None}, operation_id="delete_model_provider")
    def delete(self, request: Request, ref: str) -> Response:
        """Delete a provider with its key; where models are set up of it that is a 409 that names them."""
        provider = selectors.find_provider(ref)
        require_match(request, provider_etag(provider))
        services.delete_provider(provider, with_models=self.query_values["with_models"])
        return Response(status=204)


def provider_etag(provider: ModelProvider) -> str:
    """Give the ETag of what is shown of a provider."""
    return etag(provider.pk.hex[-12:], digest(provider_json(provider)))


def _texts(sent: dict[str, Any]) -> dict[str, Any]:
    return {name: value or "" for name, value in sent.items()}
