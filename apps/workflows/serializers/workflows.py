"""Workflows as the API shows them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from rest_framework import serializers

from apps.common.errors import Invalid
from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.workflows.engine.compiler import Compiled
from apps.workflows.engine.errors import Issue
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.services.definitions import Checked


class IssueView(BaseModel):
    """Something wrong with a definition, or worth a second look."""

    pointer: str
    code: str
    message: str
    fix: str | None = None


class WorkflowView(BaseModel):
    """A workflow without its definition."""

    id: UUID
    name: str
    title: str
    description: str
    version: int
    published_version: int | None
    created_at: datetime
    updated_at: datetime


class WorkflowDetail(WorkflowView):
    """A workflow with the definition of one version, and what is worth a second look in it."""

    dialect: str
    definition: dict[str, Any]
    warnings: list[IssueView]


class VersionView(BaseModel):
    """A version without its definition."""

    number: int
    digest: str
    dialect: str
    message: str
    created_by: str
    created_at: datetime
    published: bool


class VersionDetail(VersionView):
    """A version with its definition, canonical and as it came in."""

    definition: dict[str, Any]
    source: str
    source_format: str


class ChangeView(BaseModel):
    """One difference between two versions: `op` is added, removed or changed."""

    op: str
    pointer: str
    before: Any = None
    after: Any = None


class DiffView(BaseModel):
    """What changed from one version to another, by place and as text."""

    changes: list[ChangeView]
    text: str


class GraphView(BaseModel):
    """The size and shape of a workflow."""

    nodes: int
    edges: int
    entries: list[str]
    loops: list[dict[str, str]]


class ValidationView(BaseModel):
    """Whether a definition can be saved, and what is wrong."""

    valid: bool
    dialect: str | None = None
    errors: list[IssueView]
    warnings: list[IssueView]
    graph: GraphView | None = None


class RunOrderSerializer(StrictSerializer):
    """What to run a saved workflow with."""

    input = serializers.JSONField(required=False, default=dict, help_text="Checked against the workflow's `inputs`.")
    input_data = serializers.JSONField(required=False, help_text="An older name of `input`.")
    version = serializers.IntegerField(required=False, min_value=1, help_text="Without it the published version.")
    priority = serializers.IntegerField(required=False, default=0, min_value=-100, max_value=100)
    labels = serializers.DictField(child=serializers.CharField(max_length=200), required=False, default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Give one `input`, which is an object."""
        if "input_data" in attrs:
            attrs["input"] = attrs.pop("input_data")
        if not isinstance(attrs["input"], dict):
            raise serializers.ValidationError({"input": ["The input is an object."]})
        return attrs


class InlineRunSerializer(RunOrderSerializer):
    """A definition in any dialect, and what to run it with."""

    definition = serializers.JSONField(help_text="A workflow in any dialect.")
    version = None  # type: ignore[assignment]


def issue_view(issue: Issue) -> IssueView:
    """An issue as the API shows it."""
    return IssueView(pointer=issue.pointer, code=issue.code, message=issue.message, fix=issue.fix)


def valid_view(checked: Checked) -> dict[str, JSON]:
    """The answer for a definition that can be saved."""
    warnings = [issue_view(warning) for warning in checked.warnings]
    graph = graph_view(checked.compiled)
    view = ValidationView(valid=True, dialect=checked.dialect, errors=[], warnings=warnings, graph=graph)
    return view.model_dump(mode="json")


def invalid_view(error: Invalid) -> dict[str, JSON]:
    """The answer for a definition that cannot be saved."""
    errors = [IssueView(**item.as_json()) for item in error.errors]
    return ValidationView(valid=False, errors=errors, warnings=[]).model_dump(mode="json")


def workflow_view(workflow: Workflow) -> dict[str, JSON]:
    """A workflow in a list."""
    return WorkflowView(**_columns(workflow)).model_dump(mode="json")


def workflow_detail(workflow: Workflow, version: WorkflowVersion, warnings: list[Issue]) -> dict[str, JSON]:
    """A workflow with one version's definition."""
    columns = _columns(workflow) | {"version": version.number}
    views = [issue_view(warning) for warning in warnings]
    detail = WorkflowDetail(**columns, dialect=version.dialect, definition=version.document, warnings=views)
    return detail.model_dump(mode="json")


def version_view(version: WorkflowVersion, *, published: int | None) -> dict[str, JSON]:
    """A version in a list."""
    return VersionView(**_version_columns(version, published)).model_dump(mode="json")


def version_detail(version: WorkflowVersion, *, published: int | None) -> dict[str, JSON]:
    """A version with its definition."""
    detail = VersionDetail(
        **_version_columns(version, published),
        definition=version.document,
        source=version.source,
        source_format=version.source_format,
    )
    return detail.model_dump(mode="json")


def graph_view(compiled: Compiled) -> GraphView:
    """The shape of a compiled definition; `loops` are the edges that close a cycle."""
    graph = compiled.graph
    loops = [graph.edges[number] for number in sorted(graph.closing)]
    return GraphView(
        nodes=len(graph.nodes),
        edges=len(graph.edges),
        entries=[graph.nodes[place] for place in graph.entries],
        loops=[{"from": graph.nodes[edge.source], "to": graph.nodes[edge.target]} for edge in loops],
    )


def _columns(workflow: Workflow) -> dict[str, Any]:
    return {
        "id": workflow.pk,
        "name": workflow.name,
        "title": workflow.title,
        "description": workflow.description,
        "version": workflow.latest_version,
        "published_version": workflow.published_version,
        "created_at": workflow.created_at,
        "updated_at": workflow.updated_at,
    }


def _version_columns(version: WorkflowVersion, published: int | None) -> dict[str, Any]:
    return {
        "number": version.number,
        "digest": version.digest,
        "dialect": version.dialect,
        "message": version.message,
        "created_by": version.created_by,
        "created_at": version.created_at,
        "published": version.number == published,
    }
