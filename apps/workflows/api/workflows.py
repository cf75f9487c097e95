"""Workflows, their versions, and running them."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.common import json, yaml
from apps.common.errors import Invalid
from apps.common.etags import etag, is_unchanged, require_match
from apps.common.json import JSON
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, choice, integer, text
from apps.common.serializers import checked
from apps.workflows import selectors
from apps.workflows.api.waiting import WAIT, answer_when_ended
from apps.workflows.engine.errors import Issue
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.serializers.runs import StartedRun, new_run
from apps.workflows.serializers.workflows import (
    DiffView,
    InlineRunSerializer,
    RunOrderSerializer,
    ValidationView,
    VersionDetail,
    VersionView,
    WorkflowDetail,
    WorkflowView,
    invalid_view,
    valid_view,
    version_detail,
    version_view,
    workflow_detail,
    workflow_view,
)
from apps.workflows.services import runs, versions
from apps.workflows.services.definitions import Checked, check_definition
from apps.workflows.services.diffs import compare_versions
from apps.workflows.services.runs import Order
from apps.workflows.services.versions import Saved, Source

DOCUMENT: Any = {"application/json": OpenApiTypes.OBJECT, "application/yaml": OpenApiTypes.STR}
SORTS = {"created_at": ("created_at", "id"), "name": ("name", "id"), "updated_at": ("updated_at", "id")}
MESSAGE = text("What changed, kept with the version.", max_length=500)
FORMAT = choice("yaml", "json", default="yaml", description="The canonical form as YAML or JSON.")


class WorkflowsView(OrganizationView):
    """All workflows."""

    query = {"GET": {**LISTING, "search": text("Part of a name or title.")}, "POST": {"message": MESSAGE}}

    @extend_schema(responses={200: page_of(WorkflowView)}, operation_id="list_workflows")
    def get(self, request: Request) -> Response:
        """List the workflows that are not archived."""
        found = selectors.workflows()
        if search := self.query_values["search"]:
            found = found.filter(name__icontains=search) | found.filter(title__icontains=search)
        return paginate(found, request, sorts=SORTS, serialize=workflow_view)

    @extend_schema(request=DOCUMENT, responses={200: WorkflowDetail, 201: WorkflowDetail}, operation_id="save_workflow")
    def post(self, request: Request) -> Response:
        """Create a workflow, or add a version to the one of that name: in any dialect, as JSON or YAML.

        201 for a new workflow, 200 for a new version or for content that is the newest version's already. With
        `If-Match` (the ETag of the workflow you edited) somebody else's newer version is a 412 instead.
        """
        return run_once(request, lambda: self._save(request))

    def _save(self, request: Request) -> Answer:
        definition = check_definition(request.data)
        # Locked, so that of two edits of one state the second finds that the first has changed it.
        existing = selectors.workflows().select_for_update().filter(name=definition.compiled.definition.name).first()
        if existing is not None:
            require_match(request, workflow_etag(existing))
        saved = save(self, request, definition, self.query_values["message"] or "")
        detail = workflow_detail(saved.workflow, saved.version, definition.warnings)
        return (201 if saved.is_new_workflow else 200), detail


class ValidateView(OrganizationView):
    """Checking a definition."""

    capabilities = {"POST": "view"}

    @extend_schema(request=DOCUMENT, responses={200: ValidationView}, operation_id="validate_workflow")
    def post(self, request: Request) -> Response:
        """Check a definition as saving it would, and store nothing."""
        try:
            return Response(valid_view(check_definition(request.data)))
        except Invalid as error:
            return Response(invalid_view(error))


class OneWorkflowView(OrganizationView):
    """One workflow, by name or id."""

    @extend_schema(responses={200: WorkflowDetail}, operation_id="get_workflow")
    def get(self, request: Request, ref: str) -> Response:
        """Show a workflow with its newest definition; its ETag guards an update."""
        workflow = selectors.find_workflow(ref)
        tag = workflow_etag(workflow)
        if is_unchanged(request, tag):
            return Response(status=304, headers={"ETag": tag})
        version = versions.find_version(workflow, workflow.latest_version)
        return Response(workflow_detail(workflow, version, _warnings(version)), headers={"ETag": tag})

    @extend_schema(responses={204: None}, operation_id="archive_workflow")
    def delete(self, request: Request, ref: str) -> Response:
        """Archive a workflow; its runs stay, its name is free again."""
        workflow = selectors.find_workflow(ref)
        require_match(request, workflow_etag(workflow))
        versions.archive_workflow(workflow)
        return Response(status=204)


class VersionsView(OrganizationView):
    """The versions of a workflow."""

    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(VersionView)}, operation_id="list_versions")
    def get(self, request: Request, ref: str) -> Response:
        """List the versions, the newest first."""
        workflow = selectors.find_workflow(ref)
        return paginate(
            selectors.versions(workflow),
            request,
            serialize=lambda version: version_view(version, published=workflow.published_version),
        )


class OneVersionView(OrganizationView):
    """One version."""

    @extend_schema(responses={200: VersionDetail}, operation_id="get_version")
    def get(self, _request: Request, ref: str, number: int) -> Response:
        """Show a version: its definition in canonical form, and as it came in."""
        workflow = selectors.find_workflow(ref)
        version = versions.find_version(workflow, number)
        return Response(version_detail(version, published=workflow.published_version))


class PublishView(OrganizationView):
    """Publishing a version."""

    @extend_schema(request=None, responses={200: WorkflowView}, operation_id="publish_version")
    def post(self, request: Request, ref: str, number: int) -> Response:
        """Make a version the one that runs; newer versions wait until they are published too."""
        workflow = selectors.find_workflow(ref)
        return run_once(request, lambda: (200, workflow_view(versions.publish_version(workflow, number))))


class VersionsDiffView(OrganizationView):
    """Comparing two versions."""

    @extend_schema(responses={200: DiffView}, operation_id="compare_versions")
    def get(self, _request: Request, ref: str, before: int, after: int) -> Response:
        """Tell what changed between two versions, by place and as a text diff of the canonical YAML."""
        workflow = selectors.find_workflow(ref)
        earlier, later = (versions.find_version(workflow, number) for number in (before, after))
        return Response(compare_versions(earlier.document, later.document))


class ExportView(OrganizationView):
    """Taking a workflow out."""

    query = {"GET": {"format": FORMAT, "version": integer(1, 10**9, description="Without it the newest.")}}

    @extend_schema(
        responses={
            (200, "application/yaml"): OpenApiResponse(OpenApiTypes.STR),
            (200, "application/json"): OpenApiTypes.OBJECT,
        },
        operation_id="export_workflow",
    )
    def get(self, _request: Request, ref: str) -> HttpResponse:
        """Give the canonical form: what was written, in a fixed order, so that a small edit is a small diff."""
        workflow = selectors.find_workflow(ref)
        version = versions.find_version(workflow, self.query_values["version"] or workflow.latest_version)
        if self.query_values["format"] == "json":
            return HttpResponse(json.dumps(version.document), content_type="application/json")
        return HttpResponse(yaml.dumps(version.document), content_type="application/yaml; charset=utf-8")


class RunWorkflowView(OrganizationView):
    """Running a saved workflow."""

    capabilities = {"POST": "run"}
    throttle_group = "run"
    query = {"POST": {"wait": WAIT}}

    @extend_schema(
        request=RunOrderSerializer, responses={200: StartedRun, 202: StartedRun}, operation_id="run_workflow"
    )
    def post(self, request: Request, ref: str) -> Response:
        """Start a run: 202 at once, or with `?wait=` seconds 200 when it has ended in that time."""
        order = checked(RunOrderSerializer, request)
        version = wanted_version(self, ref, order)
        return answer_when_ended(self, request, lambda: start(self, version, order), show_new=new_run)


class InlineRunView(OrganizationView):
    """Running a definition without saving it."""

    def start_inline(self, request: Request) -> Response:
        """Check and start the definition of the request's body."""
        order = checked(InlineRunSerializer, request)
        definition = check_definition(order["definition"], at="/definition")
        return answer_when_ended(
            self,
            request,
            lambda: start_inline(self, order["definition"], definition, order, trigger="api"),
            show_new=new_run,
        )


def wanted_version(view: OrganizationView, ref: str, order: dict[str, JSON]) -> WorkflowVersion:
    """The version of the workflow with this name or id that an order asks for; raises NotFound."""
    number = order.get("version")
    named = selectors.version_to_run(view.access.organization, ref, number)
    return named or versions.find_version(selectors.find_workflow(ref), number)


def save(view: OrganizationView, request: Request, definition: Checked, message: str) -> Saved:
    """Saves the request's document as a version."""
    is_yaml = "yaml" in (request.content_type or "")
    raw: bytes = request.raw_body  # type: ignore[attr-defined]
    source = Source(raw.decode(), "yaml" if is_yaml else "json")
    return versions.save_workflow(
        organization=view.access.organization, checked=definition, source=source, by=view.access.actor, message=message
    )


def start_inline(
    view: OrganizationView, document: JSON, definition: Checked, order: dict[str, JSON], *, trigger: str
) -> Any:
    """Starts a run of a document that is not saved as a workflow; gives its id."""
    version = versions.inline_version(
        organization=view.access.organization,
        checked=definition,
        source=Source(json.dumps(document).decode(), "json"),
        by=view.access.actor,
    )
    return start(view, version, order, trigger=trigger)


def start(view: OrganizationView, version: WorkflowVersion, order: dict[str, JSON], *, trigger: str = "api") -> Any:
    """Starts a run for the caller; gives its id."""
    wanted = Order(
        input=order["input"],
        priority=order.get("priority", 0),
        labels=order.get("labels", {}),
        trigger=trigger,
        by=view.access.actor,
    )
    return runs.start_run(organization=view.access.organization, version=version, order=wanted)


def workflow_etag(workflow: Workflow) -> str:
    """What changes when a workflow does."""
    return etag(workflow.pk.hex[-12:], workflow.latest_version, workflow.published_version or 0)


def _warnings(version: WorkflowVersion) -> list[Issue]:
    return check_definition(version.document).warnings
