"""The wire forms of roles and their prompts."""

from typing import Any

from rest_framework import serializers

from apps.agents.models import RolePrompt
from apps.agents.roles.catalogue import LONGEST_PROMPT
from apps.agents.selectors import RoleState
from apps.common.json import JSON
from apps.common.serializers import StrictSerializer


class RoleSerializer(serializers.Serializer[Any]):
    """A role, and whether its prompt has been edited."""

    role = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    is_built_in = serializers.BooleanField(help_text="False where the organization has a prompt of its own.")
    version = serializers.IntegerField(help_text="Of the organization's edits; 0 where there is none.")
    updated_at = serializers.DateTimeField(allow_null=True)
    updated_by = serializers.CharField()


class RolePromptSerializer(RoleSerializer):
    """A role with its prompt."""

    prompt = serializers.CharField(help_text="The one that works.")
    built_in = serializers.CharField(help_text="The one that the role comes with.")


class SavePromptSerializer(StrictSerializer):
    """Another prompt."""

    prompt = serializers.CharField(max_length=LONGEST_PROMPT, trim_whitespace=False)
    message = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)


class PromptVersionSerializer(serializers.Serializer[Any]):
    """What an organization once made of a role's prompt."""

    version = serializers.IntegerField()
    prompt = serializers.CharField(allow_null=True, help_text="Null: the built-in one again.")
    message = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


def role_json(state: RoleState) -> dict[str, JSON]:
    """Give a role as lists show it."""
    return {
        "role": state.role.name,
        "title": state.role.title,
        "description": state.role.description,
        "is_built_in": state.is_built_in,
        "version": state.version,
        "updated_at": state.updated_at,
        "updated_by": state.updated_by,
    }


def prompt_json(state: RoleState) -> JSON:
    """Give a role with its prompt."""
    return {**role_json(state), "prompt": state.text, "built_in": state.role.prompt}


def prompt_version_json(version: RolePrompt) -> JSON:
    """Give a version as the API shows it."""
    return {
        "version": version.number,
        "prompt": version.text,
        "message": version.message,
        "created_at": version.created_at,
        "created_by": version.created_by,
    }
