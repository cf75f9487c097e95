"""Drafts and node types as the API shows them."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rest_framework import serializers

from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.workflows.engine.spec import Node
from apps.workflows.models import Draft
from apps.workflows.services.drafts import differs


class DraftView(BaseModel):
    """What somebody works on: `differs` says whether publishing it would make a new version."""

    workflow: str
    revision: int
    definition: dict[str, Any]
    source: str
    layout: dict[str, Any]
    based_on: int
    differs: bool
    latest_version: int
    published_version: int | None
    updated_by: str
    updated_at: datetime | None


class NodeTypeView(BaseModel):
    """A node type: `schema` is a JSON Schema of its fields, `expressions` names those that may hold expressions."""

    type: str
    description: str
    fields: dict[str, Any]
    expressions: list[str]


class ConvertedView(BaseModel):
    """A document of any dialect in canonical form."""

    dialect: str
    definition: dict[str, Any]


class DraftSerializer(StrictSerializer):
    """A draft to keep; it need not be a definition that could run."""

    definition = serializers.DictField(help_text="The definition, in canonical form.")
    source = serializers.CharField(  # type: ignore[assignment] # DRF's base has an attribute of this name
        required=False, default="", allow_blank=True, trim_whitespace=False, help_text="The same as YAML with comments."
    )
    layout = serializers.DictField(
        required=False, help_text="Positions, notes and groups; without it they stay as they are."
    )


class PublishDraftSerializer(StrictSerializer):
    """How a draft becomes a version."""

    message = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)
    over = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        min_value=1,
        help_text="The newest version, where one was made since the draft was begun: you have seen it.",
    )


def draft_view(draft: Draft) -> dict[str, JSON]:
    """A draft with its definition."""
    workflow = draft.workflow
    view = DraftView(
        workflow=workflow.name,
        revision=draft.revision,
        definition=draft.document,
        source=draft.source,
        layout=draft.layout,
        based_on=draft.based_on,
        differs=differs(draft),
        latest_version=workflow.latest_version,
        published_version=workflow.published_version,
        updated_by=draft.updated_by,
        updated_at=draft.updated_at if draft.revision else None,
    )
    return view.model_dump(mode="json")


def node_type_view(name: str, model: type[Node]) -> dict[str, JSON]:
    """A node type with what its fields may be."""
    return NodeTypeView(
        type=name,
        description=(model.__doc__ or "").strip(),
        fields=model.model_json_schema(by_alias=True),
        expressions=[model.model_fields[field].alias or field for field in model.templates],
    ).model_dump(mode="json")
