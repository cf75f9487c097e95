"""The addresses of signing in, tokens, keys, and who one is."""

from django.urls import path, re_path

from apps.accounts import (
    api,
    schema,  # noqa: F401 - describes signing in to the OpenAPI generator, which only a process with addresses needs
)
from apps.accounts.views import invitations, kitchen_sink, organizations, palette, sign_in
from apps.accounts.views.settings import api_keys, members, sections

# The names are those that allauth looks for.
pages = [
    path("accounts/login", sign_in.sign_in, name="account_login"),
    path("accounts/logout", sign_in.sign_out, name="account_logout"),
    path("accounts/inactive", sign_in.inactive, name="account_inactive"),
    path("accounts/password/change", sign_in.change_password, name="account_change_password"),
    path("accounts/password/set", sign_in.set_password, name="account_set_password"),
    path("accounts/password/reset", sign_in.reset_password, name="account_reset_password"),
    path("accounts/password/reset/sent", sign_in.reset_done, name="account_reset_password_done"),
    path("accounts/password/reset/done", sign_in.reset_from_key_done, name="account_reset_password_from_key_done"),
    re_path(
        r"^accounts/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)$",
        sign_in.reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("accounts/invitation/<str:token>", invitations.invitation, name="invitation"),
    path("settings", sections.first, name="settings"),
    path("settings/members", members.members, name="settings_members"),
    path("settings/members/<str:ref>/role", members.change, name="change_member"),
    path("settings/members/<str:ref>/remove", members.remove, name="remove_member"),
    path("settings/invitations/<str:ref>/withdraw", members.withdraw, name="withdraw_invitation"),
    path("settings/roles", sections.roles, name="settings_roles"),
    path("settings/api-keys", api_keys.api_keys, name="settings_api_keys"),
    path("settings/api-keys/<str:ref>/revoke", api_keys.revoke, name="revoke_api_key"),
    path("settings/organization", sections.organization, name="settings_organization"),
    path("settings/appearance", sections.appearance, name="settings_appearance"),
    path("go", palette.search),
    path("ui", kitchen_sink.kitchen_sink),
    path("accounts/organization", organizations.switch, name="switch_organization"),
]

urlpatterns = [
    *pages,
    path("v1/auth/token", api.TokenView.as_view()),
    path("v1/auth/token/refresh", api.TokenRefreshView.as_view()),
    path("v1/auth/token/revoke", api.TokenRevokeView.as_view()),
    path("v1/me", api.MeView.as_view()),
    path("v1/organizations", api.OrganizationsView.as_view()),
    path("v1/api-keys", api.ApiKeysView.as_view()),
    path("v1/api-keys/<str:ref>", api.ApiKeyView.as_view()),
]
