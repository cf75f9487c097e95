"""The gallery: workflows that run without a model key and without a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from django_scopes import scope

from apps.accounts.models import Organization
from apps.common import json, yaml
from apps.common.errors import NotFound
from apps.common.json import JSON
from apps.common.registry import nearest
from apps.workflows import selectors
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.services import runs, versions
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.new_workflows import free_name
from apps.workflows.services.runs import Order
from apps.workflows.services.versions import Source

GALLERY = Path(__file__).parent.parent / "gallery"
BY = "demo"  # who made a version that came from here


@dataclass(frozen=True)
class Template:
    """A workflow of the gallery, and an input to try it with."""

    name: str
    title: str
    description: str
    source: Source
    definition: dict[str, Any]  # what the source says
    sample_input: dict[str, JSON]

    @property
    def workflow(self) -> str:
        """The name of the workflow that it becomes."""
        return str(self.definition["name"])


@cache
def templates() -> Mapping[str, Template]:
    """Every template by name."""
    index: Any = yaml.loads((GALLERY / "index.yaml").read_text())
    return {name: _read(name, entry) for name, entry in sorted(index.items())}


def find_template(name: str) -> Template:
    """The template with this name, or of the workflow with this name; raises NotFound."""
    known = templates()
    found = known.get(name) or next((one for one in known.values() if one.workflow == name), None)
    if found is None:
        message = f"There is no template '{name[:80]}'.{nearest(name[:80], known)}"
        raise NotFound(message, code="template_not_found")
    return found


def load_demos(organization: Organization, *, restore: bool = False) -> list[Workflow]:
    """Saves every template as a workflow of the organization; gives those that are there then.

    A workflow that somebody has changed stays as it is, and one that was archived stays away unless `restore`.
    """
    with scope(organization=organization):
        loaded = [load_demo(organization, template, restore=restore) for template in templates().values()]
    return [workflow for workflow in loaded if workflow is not None]


def run_demo(organization: Organization, name: str, *, by: str = BY) -> UUID:
    """Starts the workflow of a template, saved first where it is missing, with the sample input; gives the run's id."""
    template = find_template(name)
    with scope(organization=organization):
        workflow = load_demo(organization, template, restore=True)
        assert workflow is not None  # noqa: S101 - restored
        order = Order(input=template.sample_input, trigger="demo", by=by)
        return runs.start_run(organization=organization, version=versions.find_version(workflow), order=order)


def use_template(organization: Organization, template: Template, *, by: str) -> Workflow:
    """Saves a copy of a template as a workflow of one's own, under the first name that is free."""
    with scope(organization=organization):
        definition = {**template.definition, "name": free_name(template.workflow)}
        source = Source(json.dumps(definition, indent=True).decode(), "json")
        saved = versions.save_workflow(
            organization=organization,
            checked=check_definition(definition),
            source=source,
            by=by,
            message=f"From the template '{template.title}'.",
        )
        return saved.workflow


def load_demo(organization: Organization, template: Template, *, restore: bool) -> Workflow | None:
    """Saves one template, within the organization's scope; None where its workflow was archived and stays so."""
    existing = selectors.workflows().filter(name=template.workflow).first()
    if existing is None and not restore and _made_before(template):
        return None
    if existing is not None and _is_somebodys_own(existing):
        return existing
    checked = check_definition(template.definition)
    return versions.save_workflow(
        organization=organization, checked=checked, source=template.source, by=BY, message="From the gallery."
    ).workflow


def _made_before(template: Template) -> bool:
    return WorkflowVersion.objects.filter(workflow__name=template.workflow, created_by=BY).exists()


def _is_somebodys_own(workflow: Workflow) -> bool:
    return versions.find_version(workflow, workflow.latest_version).created_by != BY


def _read(name: str, entry: dict[str, Any]) -> Template:
    path = next(GALLERY.glob(f"{name}.[yj]*"))
    text = path.read_text()
    definition: Any = json.loads(text) if path.suffix == ".json" else yaml.loads(text)
    sample = {key: _sample(value) for key, value in entry["sample_input"].items()}
    source = Source(text, path.suffix[1:])
    return Template(name, entry["title"], entry["description"], source, definition, sample)


def _sample(value: JSON) -> JSON:
    if isinstance(value, str) and value.startswith("@"):
        return (GALLERY / value[1:]).read_text().strip()
    return value
