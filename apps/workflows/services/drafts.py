"""Drafts: what is worked on in the builder, apart from the versions until it is published."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.common import json, yaml
from apps.common.errors import Conflict, DomainError, ErrorItem, Invalid
from apps.common.json import JSON
from apps.workflows.engine.spec import canonical_document
from apps.workflows.models import Draft, Workflow, WorkflowVersion
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.versions import Saved, Source, find_version, publish_version, save_workflow


@dataclass(frozen=True)
class Content:
    """What is kept of a draft: the definition, its text with comments where there is one, and how it is laid out."""

    document: dict[str, Any]
    source: str = ""
    layout: dict[str, Any] | None = None  # None leaves it as it is


def draft_of(workflow: Workflow) -> Draft:
    """The workflow's draft; where nobody has begun one, the newest version as a draft that is not saved yet."""
    known = Draft.objects.filter(workflow=workflow).first()
    return known or _begun(workflow, find_version(workflow, workflow.latest_version))


def locked_draft(workflow: Workflow) -> Draft:
    """The same, with the workflow locked against other saves until the transaction ends."""
    return draft_of(Workflow.objects.select_for_update().get(pk=workflow.pk))


def differs(draft: Draft) -> bool:
    """Whether publishing the draft would make a new version."""
    newest = find_version(draft.workflow, draft.workflow.latest_version)
    return bool(canonical_document(draft.document) != newest.document)


@transaction.atomic
def save_draft(draft: Draft, content: Content, *, by: str) -> Draft:
    """Keeps this content, whatever it is worth, as the draft's next revision."""
    draft.document, draft.source = content.document, content.source
    if content.layout is not None:
        draft.layout = content.layout
    return _next(draft, by)


@transaction.atomic
def publish_draft(draft: Draft, *, by: str, message: str = "", over: int | None = None) -> Saved:
    """Makes the draft the version that runs; raises Invalid with every issue where it cannot be one.

    Where there is a newer version than the draft began from, `over` has to name it; Conflict `newer_version` else.
    """
    checked = check_definition(draft.document)
    _check_newest(draft, over)
    _check_name(draft)
    saved = save_workflow(
        organization=draft.organization, checked=checked, source=_source_of(draft), by=by, message=message
    )
    if saved.workflow.published_version != saved.version.number:
        publish_version(saved.workflow, saved.version.number)
    draft.based_on = saved.version.number
    _next(draft, by)
    return saved


def _begun(workflow: Workflow, version: WorkflowVersion) -> Draft:
    commented = version.source_format == "yaml" and version.dialect == "canonical"
    return Draft(
        organization=workflow.organization,
        workflow=workflow,
        document=version.document,
        source=version.source if commented else "",
        based_on=version.number,
    )


def _source_of(draft: Draft) -> Source:
    """The text that the version is shown as: the YAML with its comments, but never one that says something else."""
    if draft.source and _is_text_of(draft.source, draft.document):
        return Source(draft.source, "yaml")
    return Source(json.dumps(draft.document).decode(), "json")


def _is_text_of(source: str, document: JSON) -> bool:
    try:
        return bool(yaml.loads(source) == document)
    except DomainError:
        return False


def _next(draft: Draft, by: str) -> Draft:
    draft.revision += 1
    draft.updated_by = by
    draft.save()
    return draft


def _check_newest(draft: Draft, over: int | None) -> None:
    newest = draft.workflow.latest_version
    if draft.based_on < newest and over != newest and differs(draft):
        message = f"Version {newest} was made since this draft was begun from version {draft.based_on}."
        raise Conflict(
            f"{message} Look at what it changed, and publish over it with 'over': {newest}.",
            code="newer_version",
            extra={"latest_version": newest},
        )


def _check_name(draft: Draft) -> None:
    name: JSON = draft.document.get("name")
    if name != draft.workflow.name:
        message = f"This is the workflow '{draft.workflow.name}'; under another name it would be another workflow."
        fault = ErrorItem("/name", "another_name", message, f"Write '{draft.workflow.name}', or keep it as a copy.")
        raise Invalid(message, code="invalid_definition", errors=[fault])
