"""Workflows that agents may run: what they take, whether a call fits, and what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django_scopes import scope

from apps.common.errors import Fatal, Invalid
from apps.common.json import JSON
from apps.workflows import selectors
from apps.workflows.engine.compiler import Compiled
from apps.workflows.engine.states import RunStatus
from apps.workflows.models import Run
from apps.workflows.services.compiled import compiled_version
from apps.workflows.services.inputs import accepted_input
from apps.workflows.services.versions import find_version
from apps.workflows.store.values import read_value


class OfferedWorkflows:
    """The workflows of organizations, as agents see them."""

    def names(self, organization_id: UUID) -> Sequence[str]:
        """Give the names of the workflows that can be run."""
        with scope(organization=organization_id):
            return list(selectors.workflows().order_by("name").values_list("name", flat=True))

    def describe(self, organization_id: UUID, name: str) -> tuple[str, dict[str, Any]]:
        """Give what a workflow does and the JSON Schema of its input; raises NotFound."""
        definition = _published(organization_id, name).definition
        return definition.description or definition.title or name, dict(definition.inputs or {"type": "object"})

    def check(self, organization_id: UUID, name: str, given: JSON) -> None:
        """Raise NotFound for an unknown workflow, Fatal `invalid_input` for input that it does not take."""
        check_child(organization_id, name, given)


def check_child(organization_id: UUID, name: str, given: JSON) -> None:
    """Raise NotFound for an unknown workflow, Fatal `invalid_input` for what does not fit it."""
    inputs = _published(organization_id, name).definition.inputs
    if not isinstance(given, Mapping):
        raise Fatal(f"The input of '{name}' is not an object.", code="invalid_input")
    try:
        accepted_input(inputs, given)
    except Invalid as wrong:
        raise Fatal(wrong.detail, code=wrong.code) from None


def outcome_of_child(organization_id: UUID, news: Mapping[str, str]) -> JSON:
    """Give `{output}` of a run that has completed, or `{error}` that says what became of it."""
    with scope(organization=organization_id):
        run = Run.objects.get(pk=news["run"])
    if run.status == RunStatus.COMPLETED:
        return {"output": read_value(organization_id, run.output)}
    said = run.error.get("message", "") if isinstance(run.error, dict) else ""
    return {"error": f"The run of '{run.name}' is {run.status}. {said}".rstrip()}


def _published(organization_id: UUID, name: str) -> Compiled:
    with scope(organization=organization_id):
        return compiled_version(find_version(selectors.find_workflow(name)).pk)
