"""Tokens, keys, and who one is."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import selectors, tokens
from apps.accounts.access import (
    ORGANIZATION_HEADER,
    Access,
    ApiView,
    OrganizationView,
    SignedInView,
    address_of,
    settle,
)
from apps.accounts.callers import Caller
from apps.accounts.idempotency import Answer, run_once
from apps.accounts.models import Organization, Role
from apps.accounts.serializers import (
    ApiKeySerializer,
    CallerSerializer,
    CreatedApiKeySerializer,
    NewApiKeySerializer,
    OrganizationSerializer,
    PersonSerializer,
    RefreshSerializer,
    SignInSerializer,
    TokenPairSerializer,
)
from apps.accounts.services import keys, sign_in
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING
from apps.common.selectors import find_by_id
from apps.common.serializers import checked


class TokenView(ApiView):
    """Signing in."""

    authentication_classes = ()
    throttle_group = "auth"

    @extend_schema(request=SignInSerializer, responses={200: TokenPairSerializer}, operation_id="create_token")
    def post(self, request: Request) -> Response:
        """Exchange a name and a password for an access token (10 minutes) and a refresh token (14 days, one use)."""
        body = checked(SignInSerializer, request)
        return _tokens(sign_in.sign_in(**body, address=address_of(request)))


class TokenRefreshView(ApiView):
    """Staying signed in."""

    authentication_classes = ()

    @extend_schema(request=RefreshSerializer, responses={200: TokenPairSerializer}, operation_id="refresh_token")
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for new tokens; one that comes a second time ends the whole sign-in."""
        return _tokens(sign_in.refresh(checked(RefreshSerializer, request)["refresh"]))


class TokenRevokeView(ApiView):
    """Signing out."""

    authentication_classes = ()

    @extend_schema(request=RefreshSerializer, responses={204: None}, operation_id="revoke_token")
    def post(self, request: Request) -> Response:
        """End the sign-in that a refresh token belongs to."""
        sign_in.sign_out(checked(RefreshSerializer, request)["refresh"])
        return Response(status=204)


class MeView(SignedInView):
    """Who am I."""

    @extend_schema(responses={200: CallerSerializer}, operation_id="get_me")
    def get(self, request: Request) -> Response:
        """Tell who is asking, for which organization, and what they may do there."""
        access = self._access(request)
        return Response(
            {
                "user": PersonSerializer(self.caller.user).data if self.caller.user else None,
                "api_key": ApiKeySerializer(self.caller.api_key).data if self.caller.api_key else None,
                "organization": _organization(access.organization, access.role) if access else None,
                "capabilities": sorted(access.capabilities) if access else [],
                "organizations": _organizations(self.caller),
            }
        )

    def _access(self, request: Request) -> Access | None:
        slug = request.headers.get(ORGANIZATION_HEADER)
        undecided = slug is None and self.caller.api_key is None and len(self.caller.memberships) != 1
        return None if undecided else settle(self.caller, slug)


class OrganizationsView(SignedInView):
    """Where am I a member."""

    @extend_schema(responses={200: page_of(OrganizationSerializer)}, operation_id="list_organizations")
    def get(self, _request: Request) -> Response:
        """List the caller's organizations, with the caller's role in each."""
        return Response({"items": _organizations(self.caller), "next_cursor": None})


class ApiKeysView(OrganizationView):
    """An organization's keys."""

    capabilities = {"GET": "manage", "POST": "manage"}
    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(ApiKeySerializer)}, operation_id="list_api_keys")
    def get(self, request: Request) -> Response:
        """List the keys that are not revoked; never their secrets."""
        return paginate(selectors.keys(), request, serialize=lambda key: ApiKeySerializer(key).data)

    @extend_schema(request=NewApiKeySerializer, responses={201: CreatedApiKeySerializer}, operation_id="create_api_key")
    def post(self, request: Request) -> Response:
        """Make a key; this answer is the only place its secret is ever shown."""
        wanted = checked(NewApiKeySerializer, request)
        return run_once(request, lambda: self._create(wanted), conceal={"secret"})

    def _create(self, wanted: dict[str, Any]) -> Answer:
        days = wanted["expires_in_days"]
        created = keys.grant_key(
            self.access,
            name=wanted["name"],
            role=Role(wanted["role"]),
            scopes=wanted["scopes"],
            lifetime=timedelta(days=days) if days else None,
        )
        return 201, {**ApiKeySerializer(created.key).data, "secret": created.secret}


class ApiKeyView(OrganizationView):
    """One key."""

    capabilities = {"GET": "manage", "DELETE": "manage"}

    @extend_schema(responses={200: ApiKeySerializer}, operation_id="get_api_key")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a key without its secret."""
        return Response(ApiKeySerializer(find_by_id(selectors.keys(), ref)).data)

    @extend_schema(responses={204: None}, operation_id="revoke_api_key")
    def delete(self, _request: Request, ref: str) -> Response:
        """Revoke a key at once."""
        keys.revoke_key(find_by_id(selectors.keys(), ref))
        return Response(status=204)


def _tokens(pair: sign_in.TokenPair) -> Response:
    seconds = int(tokens.LIFETIME.total_seconds())
    body = {"access": pair.access, "refresh": pair.refresh, "token_type": "Bearer", "expires_in": seconds}
    return Response(body)


def _organizations(caller: Caller) -> list[Any]:
    return [_organization(organization, role) for organization, role in _places(caller)]


def _places(caller: Caller) -> Iterable[tuple[Organization, str]]:
    if caller.api_key:
        yield caller.api_key.organization, caller.api_key.role
    for membership in caller.memberships:
        yield membership.organization, membership.role


def _organization(organization: Organization, role: str) -> dict[str, Any]:
    return {
        "id": organization.pk,
        "name": organization.name,
        "slug": organization.slug,
        "role": role,
        "created_at": organization.created_at,
    }
