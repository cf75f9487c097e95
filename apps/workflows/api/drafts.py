"""Drafts, and what else the builder asks for."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.common.etags import etag, is_unchanged, require_match
from apps.common.listing import BY_NAME, paginate_by_name
from apps.common.openapi import page_of
from apps.common.serializers import checked
from apps.workflows import selectors
from apps.workflows.api.workflows import DOCUMENT
from apps.workflows.engine.spec import node_types
from apps.workflows.models import Draft, Workflow
from apps.workflows.serializers.drafts import (
    ConvertedView,
    DraftSerializer,
    DraftView,
    NodeTypeView,
    PublishDraftSerializer,
    draft_view,
    node_type_view,
)
from apps.workflows.services import drafts
from apps.workflows.services.definitions import canonical_form


class OneDraftView(OrganizationView):
    """The draft of a workflow."""

    @extend_schema(responses={200: DraftView}, operation_id="get_draft")
    def get(self, request: Request, ref: str) -> Response:
        """Show what is worked on, who saved it last and when; without a draft, the newest version. It has an ETag."""
        draft = drafts.draft_of(selectors.find_workflow(ref))
        tag = _tag_of(draft)
        if is_unchanged(request, tag):
            return Response(status=304, headers={"ETag": tag})
        return Response(draft_view(draft), headers={"ETag": tag})

    @extend_schema(request=DraftSerializer, responses={200: DraftView}, operation_id="save_draft")
    def put(self, request: Request, ref: str) -> Response:
        """Keep a draft, which need not be right yet; no version is made.

        With `If-Match` (the ETag of what you read) somebody else's newer save is a 412.
        """
        workflow = selectors.find_workflow(ref)
        wanted = checked(DraftSerializer, request)
        answer = run_once(request, lambda: self._save(request, workflow, wanted))
        return _tagged(answer, workflow)

    def _save(self, request: Request, workflow: Workflow, wanted: dict[str, Any]) -> Answer:
        draft = _unchanged_draft(request, workflow)
        content = drafts.Content(wanted["definition"], wanted["source"], wanted.get("layout"))
        return 200, draft_view(drafts.save_draft(draft, content, by=self.access.actor))


class PublishDraftView(OrganizationView):
    """Publishing a draft."""

    @extend_schema(request=PublishDraftSerializer, responses={200: DraftView}, operation_id="publish_draft")
    def post(self, request: Request, ref: str) -> Response:
        """Make the draft a version and the one that runs; with `If-Match` only if nobody has saved another since.

        A version that was made since the draft was begun is a 409 `newer_version`, unless `over` names it.
        """
        workflow = selectors.find_workflow(ref)
        wanted = checked(PublishDraftSerializer, request)
        answer = run_once(request, lambda: self._publish(request, workflow, wanted))
        return _tagged(answer, workflow)

    def _publish(self, request: Request, workflow: Workflow, wanted: dict[str, Any]) -> Answer:
        draft = _unchanged_draft(request, workflow)
        drafts.publish_draft(draft, by=self.access.actor, message=wanted["message"], over=wanted["over"])
        return 200, draft_view(drafts.draft_of(selectors.find_workflow(str(workflow.pk))))


class ConvertView(OrganizationView):
    """Reading other dialects."""

    capabilities = {"POST": "view"}

    @extend_schema(request=DOCUMENT, responses={200: ConvertedView}, operation_id="convert_workflow")
    def post(self, request: Request) -> Response:
        """Give a definition of any dialect in canonical form; names are not checked, and nothing is stored."""
        dialect, definition = canonical_form(request.data)
        return Response({"dialect": dialect, "definition": definition})


class NodeTypesView(OrganizationView):
    """The node types that definitions may use."""

    query = {"GET": BY_NAME}

    @extend_schema(responses={200: page_of(NodeTypeView)}, operation_id="list_node_types")
    def get(self, request: Request) -> Response:
        """List the node types by name, with a JSON Schema of their fields."""
        return paginate_by_name(
            node_types().items(), request, name=lambda one: one[0], serialize=lambda one: node_type_view(*one)
        )


def draft_etag(workflow: Workflow, revision: int, based_on: int) -> str:
    """What changes when a draft is saved, or while there is none when the workflow gets a version."""
    return etag(workflow.pk.hex[-12:], "draft", revision, 0 if revision else based_on)


def _tag_of(draft: Draft) -> str:
    return draft_etag(draft.workflow, draft.revision, draft.based_on)


def _unchanged_draft(request: Request, workflow: Workflow) -> Draft:
    """The draft, locked, as the caller read it; of two saves of one state the second finds it changed."""
    draft = drafts.locked_draft(workflow)
    require_match(request, _tag_of(draft))
    return draft


def _tagged(response: Response, workflow: Workflow) -> Response:
    """The response with the tag of what it shows: read again, it might be that of the next save."""
    response["ETag"] = draft_etag(workflow, response.data["revision"], response.data["based_on"])
    return response
