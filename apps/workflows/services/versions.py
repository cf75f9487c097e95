"""Workflows and their immutable versions."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import Organization
from apps.common.errors import Conflict, NotFound
from apps.common.ids import uuid7
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.services.definitions import Checked


@dataclass(frozen=True)
class Source:
    """A definition as it came in."""

    text: str
    format: str  # json | yaml


@dataclass(frozen=True)
class Saved:
    """What saving a definition did."""

    workflow: Workflow
    version: WorkflowVersion
    is_new_workflow: bool
    is_new_version: bool


@transaction.atomic
def save_workflow(*, organization: Organization, checked: Checked, source: Source, by: str, message: str = "") -> Saved:
    """Saves a definition under its name: a new workflow, or a new version; nothing where the content is the newest's.

    Until a version is published by hand, the newest one is the published one.
    """
    definition = checked.compiled.definition
    workflow, is_new = _locked(organization, definition.name)
    newest = workflow.versions.filter(number=workflow.latest_version).first()
    if newest is not None and newest.digest == checked.digest:
        return Saved(workflow, newest, is_new_workflow=False, is_new_version=False)
    version = WorkflowVersion.objects.create(
        organization=organization,
        workflow=workflow,
        number=workflow.latest_version + 1,
        digest=checked.digest,
        document=checked.document,
        source=source.text,
        source_format=source.format,
        dialect=checked.dialect,
        message=message,
        created_by=by,
    )
    workflow.latest_version = version.number
    workflow.title = definition.title or ""
    workflow.description = definition.description or ""
    if not workflow.pinned:
        workflow.published_version = version.number
    workflow.save()
    return Saved(workflow, version, is_new_workflow=is_new, is_new_version=True)


@transaction.atomic
def publish_version(workflow: Workflow, number: int) -> Workflow:
    """Makes a version the one that runs when nobody names one; raises NotFound for a number that does not exist."""
    workflow = Workflow.objects.select_for_update().get(pk=workflow.pk)
    find_version(workflow, number)
    workflow.published_version, workflow.pinned = number, True
    workflow.save(update_fields=["published_version", "pinned", "updated_at"])
    return workflow


def find_version(workflow: Workflow, number: int | None = None) -> WorkflowVersion:
    """A version by number; without one, the published version, or else the newest. Raises NotFound."""
    wanted = number or workflow.published_version or workflow.latest_version
    version = workflow.versions.filter(number=wanted).first()
    if version is None:
        message = f"'{workflow.name}' has no version {wanted}; it has 1 to {workflow.latest_version}."
        raise NotFound(message, code="version_not_found")
    return version


def archive_workflow(workflow: Workflow) -> None:
    """Takes a workflow out of every list; its runs stay, and its name is free again."""
    workflow.archived_at = timezone.now()
    workflow.save(update_fields=["archived_at", "updated_at"])


def restore_workflow(identifier: UUID) -> Workflow:
    """Takes an archived workflow back into the lists; raises NotFound, and Conflict while its name is taken."""
    workflow = Workflow.objects.filter(pk=identifier).first()
    if workflow is None:
        raise NotFound("There is no such workflow.", code="workflow_not_found")
    workflow.archived_at = None
    try:
        with transaction.atomic():
            workflow.save(update_fields=["archived_at", "updated_at"])
    except IntegrityError:
        message = f"There is another workflow '{workflow.name}' by now; archive it first."
        raise Conflict(message, code="name_taken") from None
    return workflow


def inline_version(*, organization: Organization, checked: Checked, source: Source, by: str) -> WorkflowVersion:
    """The version of no workflow that holds this definition; the same content is kept once."""
    same = WorkflowVersion.objects.filter(workflow=None, digest=checked.digest).defer("document", "source")
    if (known := same.order_by().first()) is not None:
        return known
    fields: dict[str, Any] = {
        "id": uuid7(),
        "organization": organization,
        "workflow": None,
        "digest": checked.digest,
        "document": checked.document,
        "source": source.text,
        "source_format": source.format,
        "dialect": checked.dialect,
        "created_by": by,
    }
    WorkflowVersion.objects.bulk_create([WorkflowVersion(**fields)], ignore_conflicts=True)
    return same.get()


def _locked(organization: Organization, name: str) -> tuple[Workflow, bool]:
    """The workflow of that name, locked against other saves; made where there is none."""
    made = Workflow(organization=organization, name=name)
    Workflow.objects.bulk_create([made], ignore_conflicts=True)
    workflow = Workflow.objects.select_for_update().get(name=name, archived_at=None)
    return workflow, workflow.pk == made.pk
