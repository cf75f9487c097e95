"""The wire forms of agents made of a prompt."""

from typing import Any

from rest_framework import serializers

from apps.agents.models import AgentVersion
from apps.common.json import JSON
from apps.common.serializers import StrictSerializer


class SaveAgentSerializer(StrictSerializer):
    """A new agent, or a new version of one."""

    name = serializers.CharField(max_length=100)
    agent = serializers.DictField(help_text="What it is: `instructions`, `model`, `tools` and so on, see its schema.")
    message = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)


class AgentVersionSerializer(serializers.Serializer[Any]):
    """A version of an agent."""

    name = serializers.CharField()
    version = serializers.IntegerField()
    agent = serializers.DictField()
    message = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class ChatSerializer(StrictSerializer):
    """A message to an agent, with what was said before."""

    message = serializers.CharField(max_length=200_000)
    history = serializers.ListField(child=serializers.DictField(), required=False, default=list, max_length=200)
    agent = serializers.DictField(required=False, help_text="Another document to try in place of the saved one.")


def file_of(version: AgentVersion) -> dict[str, JSON]:
    """Give an agent as a file has it: saved again it is the same, here or in another organization."""
    return {"name": version.agent.name, "agent": version.document}


def document_in(file: JSON) -> JSON:
    """Give the document in such a file, or the file itself, which may be a document alone."""
    if isinstance(file, dict) and "agent" in file and file.keys() <= {"name", "agent", "message"}:
        return file["agent"]
    return file


def version_json(version: AgentVersion) -> JSON:
    """Give a version as the API shows it."""
    return {
        "name": version.agent.name,
        "version": version.number,
        "agent": version.document,
        "message": version.message,
        "created_at": version.created_at,
        "created_by": version.created_by,
    }
