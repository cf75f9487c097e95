"""The addresses of tokens, keys, and who one is."""

from django.urls import path

from apps.accounts import (
    api,
    schema,  # noqa: F401 - describes signing in to the OpenAPI generator, which only a process with addresses needs
)

urlpatterns = [
    path("v1/auth/token", api.TokenView.as_view()),
    path("v1/auth/token/refresh", api.TokenRefreshView.as_view()),
    path("v1/auth/token/revoke", api.TokenRevokeView.as_view()),
    path("v1/me", api.MeView.as_view()),
    path("v1/organizations", api.OrganizationsView.as_view()),
    path("v1/api-keys", api.ApiKeysView.as_view()),
    path("v1/api-keys/<str:ref>", api.ApiKeyView.as_view()),
]
