"""Operators' pages for accounts. No secret is shown, and none can be made here: keys and tokens come from services."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from apps.accounts.models import ApiKey, IdempotentRequest, Invitation, Membership, Organization, RefreshToken, User
from apps.common.admin import ModelAdmin, ReadOnlyAdmin

admin.site.register(User, UserAdmin)


@admin.register(Organization)
class OrganizationAdmin(ModelAdmin[Organization]):
    list_display = ["name", "slug", "created_at"]
    search_fields = ["name", "slug"]
    readonly_fields = ["id", "created_at"]


@admin.register(Membership)
class MembershipAdmin(ModelAdmin[Membership]):
    list_display = ["user", "organization", "role", "token_version"]
    list_filter = ["role"]
    search_fields = ["user__username", "organization__slug"]
    autocomplete_fields = ["user", "organization"]
    list_select_related = ["user", "organization"]


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin[ApiKey]):
    list_display = ["name", "public_id", "organization", "role", "expires_at", "last_used_at", "revoked_at"]
    list_filter = ["role"]
    search_fields = ["name", "public_id", "organization__slug"]
    list_select_related = ["organization"]
    exclude = ["digest"]
    readonly_fields = ["public_id", "organization", "created_by", "created_at", "last_used_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Refuse: the secret of a key made here would never be seen."""
        return False


@admin.register(RefreshToken)
class RefreshTokenAdmin(ReadOnlyAdmin[RefreshToken]):
    list_display = ["user", "family", "created_at", "used_at", "revoked_at", "expires_at"]
    list_select_related = ["user"]
    exclude = ["digest", "password_mark"]


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyAdmin[IdempotentRequest]):
    list_display = ["method", "path", "organization", "status", "created_at", "expires_at"]
    list_select_related = ["organization"]
    exclude = ["body_hash"]


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin[Invitation]):
    list_display = ["email", "role", "organization", "invited_by", "created_at", "expires_at"]
    list_select_related = ["organization", "invited_by"]
    exclude = ["digest"]
