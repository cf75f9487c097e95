"""The wire forms of keys, tokens, people and organizations."""

from typing import Any

from rest_framework import serializers

from apps.accounts.models import ApiKey, Capability, Role
from apps.common.serializers import StrictSerializer

MAX_PASSWORD = 1000  # hashing takes as long as the text
MAX_KEY_DAYS = 3650


class SignInSerializer(StrictSerializer):
    """A name and a password."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=MAX_PASSWORD, trim_whitespace=False, write_only=True)


class RefreshSerializer(StrictSerializer):
    """A refresh token."""

    refresh = serializers.CharField(max_length=200)


class TokenPairSerializer(serializers.Serializer[Any]):
    """The tokens of a sign-in."""

    access = serializers.CharField(help_text="Send it as `Authorization: Bearer`.")
    refresh = serializers.CharField(help_text="Good for one refresh.")
    token_type = serializers.CharField(default="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds that `access` is valid.")


class OrganizationSerializer(serializers.Serializer[Any]):
    """An organization as one of its members or keys sees it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)
    created_at = serializers.DateTimeField()


class PersonSerializer(serializers.Serializer[Any]):
    """A signed-in person."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    email = serializers.CharField()


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key, without its secret."""

    prefix = serializers.SerializerMethodField(help_text="How the key begins, to tell it from others.")
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)

    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "role", "scopes", "created_by", "created_at", "expires_at", "last_used_at"]

    def get_prefix(self, key: ApiKey) -> str:
        """Give the part of the key that is no secret."""
        return f"ork_live_{key.public_id}"


class CreatedApiKeySerializer(ApiKeySerializer):
    """A new key with its secret."""

    secret = serializers.CharField(allow_null=True, help_text="Shown once; null when an Idempotency-Key is repeated.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "secret"]


class NewApiKeySerializer(StrictSerializer):
    """What a new key shall be."""

    name = serializers.CharField(max_length=100)
    role = serializers.ChoiceField(Role.choices, default=Role.OPERATOR.value)
    scopes = serializers.ListField(
        child=serializers.ChoiceField([(capability.value, capability.value) for capability in Capability]),
        default=list,
        max_length=len(Capability),
        help_text="Narrows the role to these capabilities; empty means all of the role's.",
    )
    expires_in_days = serializers.IntegerField(
        min_value=1, max_value=MAX_KEY_DAYS, default=90, allow_null=True, help_text="null: until it is revoked."
    )


class CallerSerializer(serializers.Serializer[Any]):
    """Who is asking."""

    user = PersonSerializer(allow_null=True)
    api_key = ApiKeySerializer(allow_null=True)
    organization = OrganizationSerializer(
        allow_null=True, help_text="The one that is acted for; null when the caller has several and names none."
    )
    capabilities = serializers.ListField(child=serializers.CharField())
    organizations = OrganizationSerializer(many=True)
