"""Switching a workflow on and off for other people's programs."""

import re

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from apps.agents import registry as agents
from apps.common.errors import Conflict, ErrorItem, Invalid
from apps.workflows.models import OfferedWorkflow, Workflow
from apps.workflows.models.offers import LONGEST_NAME

NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}")
RESERVED = frozenset({"get_run"})  # a tool that is always there


def offer_workflow(workflow: Workflow, *, name: str = "", by: str) -> OfferedWorkflow:
    """Offers a workflow as a tool and an agent of this name, or of one made of its own; a second time renames it.

    Raises Invalid for a name that cannot be, and Conflict for one that another workflow or an agent has.
    """
    name = name or proposed_name(workflow)
    if not NAME.fullmatch(name) or name in RESERVED:
        message = f"'{name[:80]}' is no name for a tool: 1 to {LONGEST_NAME} letters, digits, '_' and '-'."
        raise Invalid(message, code="invalid_name", errors=[ErrorItem("/name", "invalid_name", message)])
    if (known := agents.find(name)) is not None and not known.agent.may_be_replaced:
        raise _taken(name, "An agent")
    try:
        with transaction.atomic():
            offer, _ = OfferedWorkflow.objects.update_or_create(
                workflow=workflow,
                defaults={"name": name},
                create_defaults={"organization_id": workflow.organization_id, "name": name, "created_by": by},
            )
    except IntegrityError:
        raise _taken(name, "Another workflow") from None
    return offer


def withdraw_workflow(workflow: Workflow) -> None:
    """Offers it no more; runs that were started go on."""
    OfferedWorkflow.objects.filter(workflow=workflow).delete()


def proposed_name(workflow: Workflow) -> str:
    """A name for the tool, made of the workflow's."""
    if NAME.fullmatch(workflow.name) and workflow.name not in RESERVED:
        return workflow.name
    return slugify(workflow.name)[:LONGEST_NAME] or f"workflow-{str(workflow.pk)[-8:]}"


def _taken(name: str, who: str) -> Conflict:
    message = f"{who} is offered as '{name}' already; give this one another name."
    return Conflict(message, code="name_taken", errors=[ErrorItem("/name", "name_taken", message)])
