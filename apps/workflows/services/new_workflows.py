"""A workflow to build on: under the title that somebody gave it, with one node that does nothing yet."""

from itertools import chain, count

from django.utils.text import slugify

from apps.accounts.models import Organization
from apps.common import json
from apps.common.errors import BadRequest
from apps.workflows import selectors
from apps.workflows.models import Workflow
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.versions import Source, save_workflow

LONGEST_TITLE = 200
LONGEST_NAME = 80


def begin_workflow(*, organization: Organization, title: str, by: str) -> Workflow:
    """Saves a workflow with one empty node; its name is made from the title. Raises BadRequest for no title."""
    title = title.strip()
    if not 0 < len(title) <= LONGEST_TITLE:
        raise BadRequest(f"The name must have 1 to {LONGEST_TITLE} characters.", code="invalid_name")
    name = free_name(slugify(title)[:LONGEST_NAME].strip("-") or "workflow")
    definition = {"name": name, "title": title, "nodes": {"start": {"type": "set", "values": {}}}}
    source = Source(json.dumps(definition, indent=True).decode(), "json")
    saved = save_workflow(
        organization=organization, checked=check_definition(definition), source=source, by=by, message="Begun."
    )
    return saved.workflow


def free_name(wanted: str) -> str:
    """The name, with a number where another workflow of the organization in scope has it already."""
    taken = set(selectors.workflows().filter(name__startswith=wanted).values_list("name", flat=True))
    numbered = (f"{wanted}-{number}" for number in count(2))
    return next(name for name in chain([wanted], numbered) if name not in taken)
